/* The limit to compare with: GRPO on softmax bandits in plain C, one thread, state in the first-level cache.

   Built by benchmarks/bandit.py with cc -O3 -march=native -ffast-math, so that gcc vectorises expf.
   A run keeps its N logits for all steps. Each step draws G arms by an inverse CDF in two levels (blocks of 16, then
   the arms of one block), takes the standardised advantage (Eq. 3) and the dense update of Theorem 1 with its C pi
   term, and records success, entropy and sum |A|. The first `correct` arms are right. */

#include <math.h>
#include <stdint.h>

#include "random.h"

enum { BLOCK = 16, MOST_ARMS = 4096, MOST_GROUP = 4096 };

static uint64_t splitmix(uint64_t *x) {
    uint64_t z = (*x += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* logits[runs][n] in and out; success, entropy, size[runs][steps] out; n a multiple of 16 and at most 4096 */
void train(float *restrict logits, int runs, int n, int correct, int group, int steps, float rate, uint64_t seed,
           float *restrict success, float *restrict entropy, float *restrict size) {
    static float plus[MOST_GROUP + 1], minus[MOST_GROUP + 1];
    for (int k = 0; k <= group; k++) {
        float p = (float)k / group, sd = sqrtf(p * (1 - p));
        plus[k] = sd > 0 ? (1 - p) / sd : 0;
        minus[k] = sd > 0 ? -p / sd : 0;
    }
    for (int run = 0; run < runs; run++) {
        float *restrict h = logits + (long)run * n;
        float w[MOST_ARMS], total[MOST_ARMS / BLOCK];
        int arm[MOST_GROUP];
        uint64_t state[2] = {splitmix(&seed), splitmix(&seed)};
        for (int t = 0; t < steps; t++) {
            float top = h[0];
            for (int j = 1; j < n; j++) top = h[j] > top ? h[j] : top;
            float surprise = 0;
            for (int j = 0; j < n; j++) {
                float x = h[j] - top;
                w[j] = expf(x);
                surprise += w[j] * x;
            }
            float z = 0, right = 0;
            for (int b = 0; b < n / BLOCK; b++) {
                float s = 0;
                for (int j = 0; j < BLOCK; j++) s += w[b * BLOCK + j];
                total[b] = s;
                z += s;
            }
            for (int j = 0; j < correct; j++) right += w[j];
            int k = 0;
            for (int g = 0; g < group; g++) {
                float u = uniform(state) * z;
                int b = 0;
                while (b < n / BLOCK - 1 && u >= total[b]) u -= total[b++];
                int j = b * BLOCK, last = j + BLOCK - 1;
                while (j < last && u >= w[j]) u -= w[j++];
                arm[g] = j;
                k += j < correct;
            }
            float c = k * plus[k] + (group - k) * minus[k], pull = rate * c / z;
            long at = (long)run * steps + t;
            success[at] = right / z;
            entropy[at] = logf(z) - surprise / z;
            size[at] = k * plus[k] - (group - k) * minus[k];
            for (int j = 0; j < n; j++) h[j] -= pull * w[j];
            for (int g = 0; g < group; g++) h[arm[g]] += rate * (arm[g] < correct ? plus[k] : minus[k]);
        }
    }
}
