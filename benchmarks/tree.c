/* The limit to compare with: GRPO on tabular trees in plain C, one thread. Built by benchmarks/tree.py like bandit.c.

   Node v has the children b v + 1 .. b v + b, so that leaves are numbered from (b^depth - 1) / (b - 1) on. Each step
   draws G paths by an inverse CDF at every node, scores the leaves, and moves the rows of the visited nodes. Records the
   fraction of correct rollouts and sum |A|. */

#include <math.h>
#include <stdint.h>

#include "random.h"

enum { MOST_GROUP = 64, MOST_DEPTH = 32, MOST_BRANCHES = 16 };

/* logits[runs][nodes][b] in and out, correct[runs][leaves], rate[runs][steps] and size[runs][steps] out */
void train(float *restrict logits, const uint8_t *restrict correct, int runs, int b, int depth, int group, int steps,
           float step, uint64_t seed, float *restrict rate, float *restrict size) {
    long nodes = 0, leaves = 1;
    for (int l = 0; l < depth; l++) nodes += leaves, leaves *= b;
    float plus[MOST_GROUP + 1], minus[MOST_GROUP + 1];
    for (int k = 0; k <= group; k++) {
        float p = (float)k / group, sd = sqrtf(p * (1 - p));
        plus[k] = sd > 0 ? (1 - p) / sd : 0;
        minus[k] = sd > 0 ? -p / sd : 0;
    }
    float policy[MOST_GROUP][MOST_DEPTH][MOST_BRANCHES];
    long visited[MOST_GROUP][MOST_DEPTH];
    int action[MOST_GROUP][MOST_DEPTH], right[MOST_GROUP];
    for (int run = 0; run < runs; run++) {
        float *restrict h = logits + (long)run * nodes * b;
        uint64_t state[2] = {seed + 0x9e3779b97f4a7c15u * (2 * run + 1), seed ^ 0xbf58476d1ce4e5b9u * (run + 3)};
        for (int i = 0; i < 8; i++) uniform(state);
        for (int t = 0; t < steps; t++) {
            int k = 0;
            for (int g = 0; g < group; g++) {
                long v = 0;
                for (int l = 0; l < depth; l++) {
                    const float *row = h + v * b;
                    float *w = policy[g][l], top = row[0], z = 0;
                    for (int j = 1; j < b; j++) top = row[j] > top ? row[j] : top;
                    for (int j = 0; j < b; j++) w[j] = expf(row[j] - top);
                    for (int j = 0; j < b; j++) z += w[j];
                    float u = uniform(state) * z, scale = 1 / z;
                    int a = 0;
                    while (a < b - 1 && u >= w[a]) u -= w[a++];
                    for (int j = 0; j < b; j++) w[j] *= scale;
                    visited[g][l] = v;
                    action[g][l] = a;
                    v = v * b + 1 + a;
                }
                right[g] = correct[(long)run * leaves + v - nodes];
                k += right[g];
            }
            for (int g = 0; g < group; g++) {
                float weight = step * (right[g] ? plus[k] : minus[k]);
                for (int l = 0; l < depth; l++) {
                    float *row = h + visited[g][l] * b;
                    for (int j = 0; j < b; j++) row[j] -= weight * policy[g][l][j];
                    row[action[g][l]] += weight;
                }
            }
            rate[(long)run * steps + t] = (float)k / group;
            size[(long)run * steps + t] = k * plus[k] - (group - k) * minus[k];
        }
    }
}
