/* Uniform numbers for the kernels in C. */

#include <stdint.h>

static inline uint64_t rotate(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

/* xoroshiro128+ of Blackman and Vigna; the upper 24 bits as a float in [0, 1) */
static inline float uniform(uint64_t s[2]) {
    uint64_t a = s[0], b = s[1], sum = a + b;
    b ^= a;
    s[0] = rotate(a, 24) ^ b ^ (b << 16);
    s[1] = rotate(b, 37);
    return (float)(sum >> 40) * 0x1p-24f;
}
