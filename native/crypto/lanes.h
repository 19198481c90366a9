/* Arithmetic on sixteen field elements side by side, with AVX-512 IFMA. lanes.go makes the constants and has the definitions. */
#ifndef STRADDLE_LANES_H
#define STRADDLE_LANES_H

#include <stdint.h>

enum { LANES = 16, LIMBS = 5, LIMB_BITS = 52, WORDS = 4 };

/* A constant in limbs of 52 bits, lowest first. */
typedef uint64_t limbs[LIMBS];

/* An element in words of 64 bits, lowest first, in Montgomery's form (2^256 x). */
typedef uint64_t words[WORDS];

/* Sixteen constants: limb j of all of them, then limb j + 1. */
typedef uint64_t lane_limbs[LIMBS][LANES];

struct field {
    limbs modulus;       /* r */
    limbs complement;    /* 2^260 - r */
    uint64_t inverse;    /* -1/r mod 2^52 */
    uint64_t reciprocal; /* floor(2^260 / r) */
    limbs into, out;     /* 2^264 and 2^256 mod r: multiply by them to go from 2^256 x to 2^260 x, and back */
    limbs power;         /* 2^276 mod r: multiply the fifth power of 2^256 x by it to get 2^256 x^5 */
    words modulus_words, twice; /* r and 2 r */
    uint64_t inverse_word;      /* -1/r mod 2^64 */
};

/* Round keys of the narrow permutation times 2^260: those of the full rounds for both elements, of the partial ones for the first. */
struct narrow_keys {
    limbs full[6][2];
    limbs partial[50];
};

/* 1 if this processor and system have what the functions below need. */
int lanes_supported(void);

/* The second elements of the narrow permutation of 16 states; four words of 64 bits each, in Montgomery's form (2^256 x); results may exceed the modulus once. */
void lanes_narrow(const struct field *f, const struct narrow_keys *keys, const uint64_t *left, const uint64_t *right, uint64_t *out);

/* The same of 8 states: little more than half the time. */
void lanes_narrow_half(const struct field *f, const struct narrow_keys *keys, const uint64_t *left, const uint64_t *right, uint64_t *out);

/* The wide permutation: round keys of the full rounds, those of the first element in the partial ones, the diagonal of the internal matrix less one times
   2^260, and the first element of that diagonal itself. */
struct wide_keys {
    lane_limbs full[8];
    words partial[57];
    lane_limbs diagonal;
    words first;
};

/* The wide permutation of a state of 16 elements, in place; results may exceed the modulus once. */
void lanes_wide(const struct field *f, const struct wide_keys *keys, uint64_t *state);

/* Constants of the wide permutation times 2^260: round keys of the full rounds, those of the first element in the partial ones, the diagonal less one. */
struct wide_many_keys {
    limbs full[8][LANES];
    limbs partial[57];
    limbs diagonal[LANES];
};

/* The wide permutation of 16 states of 16 elements, one state after the other, in place; results may exceed the modulus once. */
void lanes_wide_many(const struct field *f, const struct wide_many_keys *keys, uint64_t *states);

#endif
