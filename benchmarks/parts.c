/* Parts of a step in plain C, one thread, for benchmarks/parts.py: each loop keeps a run's numbers in the first-level
   cache for all its steps, as bandit.c does. Built by benchmarks/native.py like bandit.c. */

#include <math.h>
#include <stdint.h>

#include "random.h"

/* x[runs][n] in and out: n uniforms added to each run at each step */
void bits(float *restrict x, int runs, int n, int steps) {
    for (int run = 0; run < runs; run++) {
        uint64_t state[2] = {run + 1, 0x9e3779b97f4a7c15u};
        for (int t = 0; t < steps; t++)
            for (int j = 0; j < n; j++) x[(long)run * n + j] += uniform(state);
    }
}

/* x <- exp(-x) */
void exponentials(float *restrict x, int runs, int n, int steps) {
    for (int run = 0; run < runs; run++) {
        float *restrict row = x + (long)run * n;
        for (int t = 0; t < steps; t++) {
            for (int j = 0; j < n; j++) row[j] = expf(-row[j]);
            __asm__ volatile("" ::: "memory"); /* one pass after the other, as in the step */
        }
    }
}

/* x <- x / 2 + 1: one read and one write of every logit */
void memory(float *restrict x, int runs, int n, int steps) {
    for (int run = 0; run < runs; run++) {
        float *restrict row = x + (long)run * n;
        for (int t = 0; t < steps; t++) {
            for (int j = 0; j < n; j++) row[j] = row[j] * 0.5f + 1;
            __asm__ volatile("" ::: "memory");
        }
    }
}
