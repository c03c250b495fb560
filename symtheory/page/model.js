"use strict";
/* What the page computes. It reads tables that the package made, interpolates between their nodes, and integrates the
   mean field of prompts with logits of their own. It knows softmax policies, pass@k and entropy, and no estimator. */

function unpack(base64) {
  const text = atob(base64.trim());
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return new Float32Array(bytes.buffer);
}

/* Four neighbouring nodes of an even grid of `count` nodes and their weights at x in [0, count - 1] (cubic Lagrange). */
function stencil(count, x, into) {
  const first = Math.max(0, Math.min(count - 4, Math.floor(x) - 1));
  const t = x - first;
  into[0] = -(t - 1) * (t - 2) * (t - 3) / 6;
  into[1] = t * (t - 2) * (t - 3) / 2;
  into[2] = -t * (t - 1) * (t - 3) / 2;
  into[3] = t * (t - 1) * (t - 2) / 6;
  return first;
}

/* Position of a probability on a grid of `count` nodes (1 - cos t) / 2. */
function onArc(count, p) {
  return Math.acos(1 - 2 * Math.max(0, Math.min(1, p))) / Math.PI * (count - 1);
}

class Model {
  constructor(header, values) {
    Object.assign(this, header);
    this.values = values;
    this.byName = Object.fromEntries(this.estimators.map(e => [e.name, e]));
    this.inner = new Float64Array(4);
    this.outer = new Float64Array(4);
  }

  /* Names of the estimators that are defined for groups of this size. */
  names(size) {
    return this.estimators.map(e => e.name).filter(name => name in this.tables[size]);
  }

  omegaIndex(name, omega) {
    if (!this.byName[name].batch) return 0;
    const step = this.omegas[1] - this.omegas[0];
    return Math.max(0, Math.min(this.omegas.length - 1, Math.round((omega - this.omegas[0]) / step)));
  }

  /* A choice is {name} for a registered estimator or {asymmetry, tilt} for a member of the plane's family. */
  place(choice, size, omega) {
    if (!choice.name) return [choice.asymmetry, choice.tilt];
    const at = this.tables[size][choice.name].place + 2 * this.omegaIndex(choice.name, omega);
    return [this.values[at], this.values[at + 1]];
  }

  /* [K][A+, A-] for K = 0..G. */
  advantages(choice, size, omega) {
    const rows = 2 * (size + 1);
    const flat = choice.name
      ? this.values.subarray(...this.span(this.tables[size][choice.name].advantages, this.omegaIndex(choice.name, omega), rows))
      : this.member(choice, this.plane[size].advantages, rows);
    return Array.from({length: size + 1}, (_, k) => [flat[2 * k], flat[2 * k + 1]]);
  }

  span(begin, index, length) {
    return [begin + index * length, begin + (index + 1) * length];
  }

  /* A row of `length` numbers of the plane's family: cubic in the tilt, linear (which is exact) in the asymmetry. */
  member(choice, begin, length) {
    const {tilts, values, outer} = this;
    const x = (choice.tilt - tilts[0]) / (tilts[1] - tilts[0]);
    const first = stencil(tilts.length, x, outer);
    const sides = [(1 - choice.asymmetry) / 2, (1 + choice.asymmetry) / 2];
    const row = new Float64Array(length);
    for (let i = 0; i < 4; i++) {
      for (let side = 0; side < 2; side++) {
        const weight = outer[i] * sides[side];
        const at = begin + ((first + i) * 2 + side) * length;
        for (let j = 0; j < length; j++) row[j] += weight * values[at + j];
      }
    }
    return row;
  }

  /* The expected slope as a function of a prompt's success, the mean success of the other prompts, and the mean spread
     of all prompts where it divides by that (`slope.spread` is a prompt's own; the others share one success if none is given). */
  slope(choice, size) {
    const {success, others, inner, outer} = this;
    const alone = table => (p => {
      const first = stencil(success, onArc(success, p), inner);
      return inner[0] * table[first] + inner[1] * table[first + 1] + inner[2] * table[first + 2] + inner[3] * table[first + 3];
    });
    if (!choice.name) return alone(this.member(choice, this.plane[size].slope, success));
    const {slope: begin, spread} = this.tables[size][choice.name];
    if (spread !== undefined) {
      const [before, own] = [begin, spread].map(at => alone(this.values.subarray(at, at + success)));
      const n = this.populations[0].lift.length, mean = (p, rest) => (own(p) + (n - 1) * own(rest)) / n;
      return Object.assign((p, rest, all = mean(p, rest)) => (all > 0 ? before(p) / Math.sqrt(all) : 0), {spread: own});
    }
    if (!this.byName[choice.name].batch) return alone(this.values.subarray(begin, begin + success));
    const table = this.values;
    return (p, rest) => {
      const row = stencil(others, onArc(others, rest), outer);
      const first = stencil(success, onArc(success, p), inner);
      let total = 0;
      for (let i = 0; i < 4; i++) {
        const at = begin + (row + i) * success + first;
        total += outer[i] * (inner[0] * table[at] + inner[1] * table[at + 1] + inner[2] * table[at + 2] + inner[3] * table[at + 3]);
      }
      return total;
    };
  }

  /* Mean over the prompts of what `slope` divides by the root of; undefined where it does not. */
  meanSpread(slope, success, count) {
    if (!slope.spread) return undefined;
    let total = 0, all = 0;
    for (let q = 0; q < count.length; q++) { total += count[q] * slope.spread(success[q]); all += count[q]; }
    return total / all;
  }

  /* d held-out pass@k / d training pass@1 at the base policy of the population of hard and easy prompts, by angle. */
  byAngle(choice, size) {
    const {degrees, count, success, others, pull, progress} = this.angle, slope = this.slope(choice, size);
    const spread = this.meanSpread(slope, success, count);
    const weight = success.map((p, c) => count[c] * slope(p, others[c], spread));
    const total = (table, i) => weight[0] * this.values[table + 2 * i] + weight[1] * this.values[table + 2 * i + 1];
    return degrees.map((_, i) => (total(progress, i) > 0 ? total(pull, i) / total(progress, i) : NaN));
  }

  /* Mean-field training of a population. Equal prompts are integrated once.
     Returns {pass: [k][step], entropy: [step]}, means over prompts, for step = 0..steps. */
  train(choice, size, population, shift, rate, steps = this.steps) {
    const lifts = this.populations[population].lift;
    const unique = [...new Set(lifts)];
    const count = unique.map(lift => lifts.filter(other => other === lift).length);
    const total = lifts.length;
    const slope = this.slope(choice, size);
    const base = this.world.logits, correct = this.world.correct, n = base.length;
    const logits = new Float64Array(unique.length * n);
    unique.forEach((lift, q) => {
      for (let b = 0; b < n; b++) logits[q * n + b] = base[b] + (b < correct ? lift + shift : 0);
    });
    const pass = this.ks.map(() => new Float64Array(steps + 1));
    const entropy = new Float64Array(steps + 1);
    const policy = new Float64Array(logits.length), solved = new Float64Array(unique.length), mass = new Float64Array(unique.length);
    const ks = this.ks;
    for (let step = 0; step <= steps; step++) {
      let sum = 0;
      for (let q = 0; q < unique.length; q++) {
        const share = count[q] / total, begin = q * n, middle = begin + correct, end = begin + n;
        let all = 0, below = 0, right = 0;
        for (let b = begin; b < end; b++) {
          const h = logits[b], e = Math.exp(h);
          policy[b] = e;
          all += e;
          below += e * h;
          if (b === middle - 1) right = all;
        }
        mass[q] = all;
        solved[q] = right / all;
        sum += count[q] * solved[q];
        entropy[step] += share * (Math.log(all) - below / all);
        const miss = Math.log1p(-Math.min(solved[q], 1 - 1e-16));
        for (let i = 0; i < ks.length; i++) pass[i][step] -= share * Math.expm1(ks[i] * miss);
      }
      if (step === steps) break;
      const spread = this.meanSpread(slope, solved, count);
      for (let q = 0; q < unique.length; q++) {
        const begin = q * n, middle = begin + correct, end = begin + n, p = solved[q];
        const push = rate * slope(p, (sum - p) / (total - 1), spread) / mass[q];
        for (let b = begin; b < middle; b++) logits[b] += push * (1 - p) * policy[b];
        for (let b = middle; b < end; b++) logits[b] -= push * p * policy[b];
      }
    }
    return {pass, entropy};
  }
}

/* Where a rising path first reaches a level, as a fractional step; its base if it starts there. */
function reaches(path, level) {
  const after = path.findIndex(value => value >= level);
  if (after < 0) return null;
  if (after === 0) return 0;
  return after - 1 + (level - path[after - 1]) / (path[after] - path[after - 1]);
}

function valueAt(path, moment) {
  const before = Math.min(Math.floor(moment), path.length - 1), after = Math.min(before + 1, path.length - 1);
  return path[before] + (moment - before) * (path[after] - path[before]);
}

/* Where a curve over even nodes first changes its sign, linear in between; null if it does not. */
function crossing(x, y) {
  const after = y.findIndex((v, i) => i > 0 && (v < 0) !== (y[i - 1] < 0));
  if (after < 0) return null;
  return x[after - 1] + (x[after] - x[after - 1]) * y[after - 1] / (y[after - 1] - y[after]);
}

/* Where two trainings are compared: at the last step, or where both first reach the pass@1 that both reach. */
function moments(one, other, by) {
  const last = one.entropy.length - 1;
  if (by === "steps") return [last, last];
  const level = Math.min(Math.max(...one.pass[0]), Math.max(...other.pass[0]));
  return [reaches(one.pass[0], level), reaches(other.pass[0], level)];
}

/* pass@k of the first minus that of the second, for each k. */
function gains(one, other, by) {
  const [mine, theirs] = moments(one, other, by);
  return one.pass.map((path, i) => valueAt(path, mine) - valueAt(other.pass[i], theirs));
}

if (typeof module !== "undefined") module.exports = {Model, unpack, reaches, valueAt, moments, gains, crossing};
