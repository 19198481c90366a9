#include "lanes.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define IFMA __attribute__((target("avx512f,avx512ifma,bmi2")))
#define INLINE static inline __attribute__((always_inline)) IFMA
#define UNROLL _Pragma("GCC unroll 16")
enum { GROUPS = LANES / 8 };

/* Sixteen elements: limb j of eight of them in one register. An element is the sum of its limbs times 2^(52 j); "carried" means that each is below 2^52, which
   factors of a product must be. Numbers exceed the modulus r by small factors, which comments give; 2^260 is 84.6 r. Functions with `groups` compute with the
   first so many of the registers of a limb, a constant, and leave the others alone. */
typedef struct {
    __m512i limb[GROUPS][LIMBS];
} lanes;

int lanes_supported(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512ifma") && __builtin_cpu_supports("bmi2");
}

INLINE __m512i all(uint64_t value) { return _mm512_set1_epi64((long long)value); }

INLINE void carry_groups(int groups, __m512i (*z)[LIMBS])
{
    const __m512i mask = all((1ull << LIMB_BITS) - 1);
    UNROLL for (int g = 0; g < groups; g++) {
        UNROLL for (int j = 0; j < LIMBS - 1; j++) {
            z[g][j + 1] = _mm512_add_epi64(z[g][j + 1], _mm512_srli_epi64(z[g][j], LIMB_BITS));
            z[g][j] = _mm512_and_si512(z[g][j], mask);
        }
    }
}

INLINE void carry(int groups, lanes *z) { carry_groups(groups, z->limb); }

INLINE lanes plus(int groups, const lanes *a, const lanes *b)
{
    lanes z;
    UNROLL for (int g = 0; g < groups; g++)
        UNROLL for (int j = 0; j < LIMBS; j++)
            z.limb[g][j] = _mm512_add_epi64(a->limb[g][j], b->limb[g][j]);
    return z;
}

INLINE lanes plus_constant(int groups, const lanes *a, const limbs b)
{
    lanes z;
    UNROLL for (int g = 0; g < groups; g++)
        UNROLL for (int j = 0; j < LIMBS; j++)
            z.limb[g][j] = _mm512_add_epi64(a->limb[g][j], all(b[j]));
    return z;
}

/* product / 2^260 mod r, carried: less than product / 2^260 + r. */
INLINE void montgomery(const struct field *f, int groups, __m512i (*z)[LIMBS], __m512i (*product)[2 * LIMBS])
{
    UNROLL for (int i = 0; i < LIMBS; i++) {
        UNROLL for (int g = 0; g < groups; g++) {
            __m512i *t = product[g] + i;
            const __m512i m = _mm512_madd52lo_epu64(all(0), t[0], all(f->inverse));
            UNROLL for (int j = 0; j < LIMBS; j++) {
                t[j] = _mm512_madd52lo_epu64(t[j], m, all(f->modulus[j]));
                t[j + 1] = _mm512_madd52hi_epu64(t[j + 1], m, all(f->modulus[j]));
            }
            t[1] = _mm512_add_epi64(t[1], _mm512_srli_epi64(t[0], LIMB_BITS));
        }
    }
    UNROLL for (int g = 0; g < groups; g++)
        UNROLL for (int j = 0; j < LIMBS; j++)
            z[g][j] = product[g][LIMBS + j];
    carry_groups(groups, z);
}

/* a b / 2^260 mod r of one group or both. */
INLINE void multiply(const struct field *f, int groups, __m512i (*z)[LIMBS], const __m512i (*a)[LIMBS], const __m512i (*b)[LIMBS])
{
    __m512i t[GROUPS][2 * LIMBS];
    UNROLL for (int g = 0; g < groups; g++) {
        UNROLL for (int j = 0; j < 2 * LIMBS; j++)
            t[g][j] = all(0);
        UNROLL for (int i = 0; i < LIMBS; i++) {
            UNROLL for (int j = 0; j < LIMBS; j++) {
                t[g][i + j] = _mm512_madd52lo_epu64(t[g][i + j], a[g][i], b[g][j]);
                t[g][i + j + 1] = _mm512_madd52hi_epu64(t[g][i + j + 1], a[g][i], b[g][j]);
            }
        }
    }
    montgomery(f, groups, z, t);
}

/* a b / 2^260 mod r, carried: less than 2 r if a b < 84 r^2. Both must be carried. */
INLINE lanes times(const struct field *f, int groups, const lanes *a, const lanes *b)
{
    lanes z;
    multiply(f, groups, z.limb, a->limb, b->limb);
    return z;
}

/* a^2 / 2^260 mod r: as `times`, but products of different limbs are computed once and doubled. */
INLINE lanes square(const struct field *f, int groups, const lanes *a)
{
    __m512i t[GROUPS][2 * LIMBS];
    UNROLL for (int g = 0; g < groups; g++) {
        UNROLL for (int j = 0; j < 2 * LIMBS; j++)
            t[g][j] = all(0);
        UNROLL for (int i = 0; i < LIMBS; i++) {
            UNROLL for (int j = i + 1; j < LIMBS; j++) {
                t[g][i + j] = _mm512_madd52lo_epu64(t[g][i + j], a->limb[g][i], a->limb[g][j]);
                t[g][i + j + 1] = _mm512_madd52hi_epu64(t[g][i + j + 1], a->limb[g][i], a->limb[g][j]);
            }
        }
        UNROLL for (int j = 0; j < 2 * LIMBS; j++)
            t[g][j] = _mm512_add_epi64(t[g][j], t[g][j]);
        UNROLL for (int i = 0; i < LIMBS; i++) {
            t[g][2 * i] = _mm512_madd52lo_epu64(t[g][2 * i], a->limb[g][i], a->limb[g][i]);
            t[g][2 * i + 1] = _mm512_madd52hi_epu64(t[g][2 * i + 1], a->limb[g][i], a->limb[g][i]);
        }
    }
    lanes z;
    montgomery(f, groups, z.limb, t);
    return z;
}

/* The fifth power, less than 1.2 r, of a carried number below 9 r. */
INLINE lanes power(const struct field *f, int groups, const lanes *a)
{
    lanes z = square(f, groups, a);
    z = square(f, groups, &z);
    return times(f, groups, &z, a);
}

INLINE lanes times_constant(const struct field *f, int groups, const lanes *a, const limbs b)
{
    lanes c;
    UNROLL for (int g = 0; g < groups; g++)
        UNROLL for (int j = 0; j < LIMBS; j++)
            c.limb[g][j] = all(b[j]);
    return times(f, groups, a, &c);
}

/* a less a multiple of r, carried: below 1.2 r for a number below 20 r, below 1.3 r for one below 38 r. The quotient is never too big, for its factor is rounded
   down; adding 2^260 - r that many times and dropping what is above 2^260 subtracts r. */
INLINE void shrink(const struct field *f, int groups, lanes *a)
{
    const __m512i mask = all((1ull << LIMB_BITS) - 1);
    carry(groups, a);
    UNROLL for (int g = 0; g < groups; g++) {
        const __m512i quotient = _mm512_madd52hi_epu64(all(0), a->limb[g][LIMBS - 1], all(f->reciprocal));
        UNROLL for (int j = 0; j < LIMBS; j++) {
            a->limb[g][j] = _mm512_madd52lo_epu64(a->limb[g][j], quotient, all(f->complement[j]));
            if (j + 1 < LIMBS)
                a->limb[g][j + 1] = _mm512_madd52hi_epu64(a->limb[g][j + 1], quotient, all(f->complement[j]));
        }
    }
    carry(groups, a);
    UNROLL for (int g = 0; g < groups; g++)
        a->limb[g][LIMBS - 1] = _mm512_and_si512(a->limb[g][LIMBS - 1], mask);
}

/* From four words of 64 bits each, below 2^256; an element comes `stride` words after the one before. */
INLINE lanes load_apart(int groups, const uint64_t *words, int stride)
{
    const uint64_t mask = (1ull << LIMB_BITS) - 1;
    _Alignas(64) uint64_t limb[GROUPS][LIMBS][8];
    lanes z;
    for (int i = 0; i < 8 * groups; i++) {
        const uint64_t *w = words + stride * i;
        uint64_t(*to)[8] = limb[i / 8];
        to[0][i % 8] = w[0] & mask;
        to[1][i % 8] = (w[0] >> 52 | w[1] << 12) & mask;
        to[2][i % 8] = (w[1] >> 40 | w[2] << 24) & mask;
        to[3][i % 8] = (w[2] >> 28 | w[3] << 36) & mask;
        to[4][i % 8] = w[3] >> 16;
    }
    for (int g = 0; g < groups; g++)
        for (int j = 0; j < LIMBS; j++)
            z.limb[g][j] = _mm512_load_si512(limb[g][j]);
    return z;
}

INLINE lanes load(int groups, const uint64_t *words) { return load_apart(groups, words, WORDS); }

/* To four words of 64 bits each, as `load_apart`; carried and below 2^256. */
INLINE void store_apart(int groups, uint64_t *words, int stride, const lanes *a)
{
    _Alignas(64) uint64_t limb[GROUPS][LIMBS][8];
    for (int g = 0; g < groups; g++)
        for (int j = 0; j < LIMBS; j++)
            _mm512_store_si512(limb[g][j], a->limb[g][j]);
    for (int i = 0; i < 8 * groups; i++) {
        uint64_t *w = words + stride * i, (*from)[8] = limb[i / 8];
        const int k = i % 8;
        w[0] = from[0][k] | from[1][k] << 52;
        w[1] = from[1][k] >> 12 | from[2][k] << 40;
        w[2] = from[2][k] >> 24 | from[3][k] << 28;
        w[3] = from[3][k] >> 36 | from[4][k] << 16;
    }
}

INLINE void store(int groups, uint64_t *words, const lanes *a) { store_apart(groups, words, WORDS, a); }

/* x = 2 x + y, y = x + 2 y. */
INLINE void mix(int groups, lanes *x, lanes *y)
{
    const lanes sum = plus(groups, x, y);
    *x = plus(groups, x, &sum);
    *y = plus(groups, y, &sum);
}

INLINE void full_round(const struct field *f, int groups, const limbs keys[2], lanes *x, lanes *y)
{
    *x = plus_constant(groups, x, keys[0]);
    *y = plus_constant(groups, y, keys[1]);
    carry(groups, x);
    carry(groups, y);
    *x = power(f, groups, x);
    *y = power(f, groups, y);
    mix(groups, x, y);
}

/* x = 2 s + y, y = 3 y + s for the fifth power s of x + key. */
INLINE void partial_round(const struct field *f, int groups, const limbs key, lanes *x, lanes *y)
{
    *x = plus_constant(groups, x, key);
    carry(groups, x);
    const lanes s = power(f, groups, x), sum = plus(groups, &s, y);
    *x = plus(groups, &s, &sum);
    *y = plus(groups, y, y);
    *y = plus(groups, y, &sum);
}

INLINE void narrow(const struct field *f, int groups, const struct narrow_keys *keys, const uint64_t *left, const uint64_t *right, uint64_t *out)
{
    lanes x = load(groups, left), y = load(groups, right);
    x = times_constant(f, groups, &x, f->into); /* below 1.1 r, as y */
    y = times_constant(f, groups, &y, f->into);
    mix(groups, &x, &y); /* below 3.3 r; with a key 4.3 r */
    for (int round = 0; round < 3; round++)
        full_round(f, groups, keys->full[round], &x, &y); /* below 3.6 r */
    shrink(f, groups, &y);
    for (int round = 0; round < 50; round += 2) {
        partial_round(f, groups, keys->partial[round], &x, &y);     /* x below 2.4 r + 1.2 r, y below 3.6 r + 1.2 r */
        partial_round(f, groups, keys->partial[round + 1], &x, &y); /* x below 2.4 r + 4.8 r, y below 14.4 r + 1.2 r */
        shrink(f, groups, &y);                                      /* y below 1.2 r */
    }
    for (int round = 3; round < 6; round++)
        full_round(f, groups, keys->full[round], &x, &y);
    carry(groups, &y);
    y = times_constant(f, groups, &y, f->out);
    store(groups, out, &y);
}

IFMA void lanes_narrow(const struct field *f, const struct narrow_keys *keys, const uint64_t *left, const uint64_t *right, uint64_t *out)
{
    narrow(f, GROUPS, keys, left, right, out);
}

IFMA void lanes_narrow_half(const struct field *f, const struct narrow_keys *keys, const uint64_t *left, const uint64_t *right, uint64_t *out)
{
    narrow(f, GROUPS / 2, keys, left, right, out);
}

/* ---- the wide permutation, whose state is in Montgomery's form for 2^256 throughout */

INLINE lanes load_limbs(const lane_limbs from)
{
    lanes z;
    UNROLL for (int g = 0; g < GROUPS; g++)
        UNROLL for (int j = 0; j < LIMBS; j++)
            z.limb[g][j] = _mm512_loadu_si512(&from[j][8 * g]);
    return z;
}

/* circ(2 M, M, M, M) with the block M = (5 7 1 3, 4 6 1 1, 1 3 5 7, 1 1 4 6), of carried numbers below 1.2 r; the result is below 6 r. */
INLINE void mix_wide(const struct field *f, lanes *a)
{
    const __m512i first = _mm512_set_epi64(1, 1, 4, 5, 1, 1, 4, 5), second = _mm512_set_epi64(1, 3, 6, 7, 1, 3, 6, 7);
    const __m512i third = _mm512_set_epi64(4, 5, 1, 1, 4, 5, 1, 1), fourth = _mm512_set_epi64(6, 7, 1, 3, 6, 7, 1, 3);
    lanes z;
    UNROLL for (int g = 0; g < GROUPS; g++) {
        UNROLL for (int j = 0; j < LIMBS; j++)
            z.limb[g][j] = all(0);
        UNROLL for (int j = 0; j < LIMBS; j++) {
            const __m512i x = a->limb[g][j];
            const __m512i x0 = _mm512_permutex_epi64(x, 0x00), x1 = _mm512_permutex_epi64(x, 0x55);
            const __m512i x2 = _mm512_permutex_epi64(x, 0xaa), x3 = _mm512_permutex_epi64(x, 0xff);
            __m512i low = _mm512_madd52lo_epu64(z.limb[g][j], x0, first);
            low = _mm512_madd52lo_epu64(low, x1, second);
            low = _mm512_madd52lo_epu64(low, x2, third);
            z.limb[g][j] = _mm512_madd52lo_epu64(low, x3, fourth);
            if (j + 1 < LIMBS) { /* 17.6 r are below 2^260: the highest limb carries nothing */
                __m512i high = _mm512_madd52hi_epu64(z.limb[g][j + 1], x0, first);
                high = _mm512_madd52hi_epu64(high, x1, second);
                high = _mm512_madd52hi_epu64(high, x2, third);
                z.limb[g][j + 1] = _mm512_madd52hi_epu64(high, x3, fourth);
            }
        }
    }
    shrink(f, GROUPS, &z);
    UNROLL for (int j = 0; j < LIMBS; j++) {
        __m512i sum = _mm512_add_epi64(z.limb[0][j], z.limb[1][j]);
        sum = _mm512_add_epi64(sum, _mm512_shuffle_i64x2(sum, sum, 0x4e));
        a->limb[0][j] = _mm512_add_epi64(z.limb[0][j], sum);
        a->limb[1][j] = _mm512_add_epi64(z.limb[1][j], sum);
    }
}

IFMA static void full_round_wide(const struct field *f, const lane_limbs keys, lanes *a)
{
    const lanes key = load_limbs(keys);
    *a = plus(GROUPS, a, &key); /* below 7 r */
    carry(GROUPS, a);
    *a = power(f, GROUPS, a);
    *a = times_constant(f, GROUPS, a, f->power);
    mix_wide(f, a);
}

typedef unsigned __int128 wide_word;

/* a b / 2^256 mod r: less than a b / 2^256 + r, which must be below 2^256. Not inlined: it then stays in registers, which is worth a third
   of the permutation. */
IFMA __attribute__((noinline)) static void multiply_words(const struct field *f, words z, const words a, const words b)
{
    uint64_t t[WORDS + 2] = {0};
    UNROLL for (int i = 0; i < WORDS; i++) {
        wide_word sum = 0;
        UNROLL for (int j = 0; j < WORDS; j++) {
            sum += (wide_word)a[i] * b[j] + t[j];
            t[j] = (uint64_t)sum;
            sum >>= 64;
        }
        sum += t[WORDS];
        t[WORDS] = (uint64_t)sum;
        t[WORDS + 1] = (uint64_t)(sum >> 64);
        const uint64_t m = t[0] * f->inverse_word;
        sum = ((wide_word)m * f->modulus_words[0] + t[0]) >> 64;
        UNROLL for (int j = 1; j < WORDS; j++) {
            sum += (wide_word)m * f->modulus_words[j] + t[j];
            t[j - 1] = (uint64_t)sum;
            sum >>= 64;
        }
        sum += t[WORDS];
        t[WORDS - 1] = (uint64_t)sum;
        t[WORDS] = t[WORDS + 1] + (uint64_t)(sum >> 64);
    }
    UNROLL for (int j = 0; j < WORDS; j++)
        z[j] = t[j];
}

INLINE void add_words(words z, const words a, const words b)
{
    wide_word sum = 0;
    UNROLL for (int j = 0; j < WORDS; j++) {
        sum += (wide_word)a[j] + b[j];
        z[j] = (uint64_t)sum;
        sum >>= 64;
    }
}

/* a less 2 r if it is not below that. */
INLINE void shrink_words(const struct field *f, words a)
{
    uint64_t less[WORDS], borrow = 0;
    UNROLL for (int j = 0; j < WORDS; j++) {
        const wide_word difference = (wide_word)a[j] - f->twice[j] - borrow;
        less[j] = (uint64_t)difference;
        borrow = (uint64_t)(difference >> 64) & 1;
    }
    const uint64_t keep = 0 - borrow;
    UNROLL for (int j = 0; j < WORDS; j++)
        a[j] = less[j] ^ (keep & (less[j] ^ a[j]));
}

INLINE void to_limbs(limbs z, const words w)
{
    const uint64_t mask = (1ull << LIMB_BITS) - 1;
    z[0] = w[0] & mask;
    z[1] = (w[0] >> 52 | w[1] << 12) & mask;
    z[2] = (w[1] >> 40 | w[2] << 24) & mask;
    z[3] = (w[2] >> 28 | w[3] << 36) & mask;
    z[4] = w[3] >> 16;
}

INLINE void to_words(words z, const limbs a)
{
    z[0] = a[0] | a[1] << 52;
    z[1] = a[1] >> 12 | a[2] << 40;
    z[2] = a[2] >> 24 | a[3] << 28;
    z[3] = a[3] >> 36 | a[4] << 16;
}

/* The sum of all elements but the first, less a multiple of r: below 1.5 r for elements below 4.5 r. */
INLINE void sum_others(const struct field *f, const lanes *a, limbs z)
{
    const uint64_t mask = (1ull << LIMB_BITS) - 1;
    UNROLL for (int j = 0; j < LIMBS; j++)
        z[j] = (uint64_t)_mm512_reduce_add_epi64(_mm512_add_epi64(_mm512_maskz_mov_epi64(0xfe, a->limb[0][j]), a->limb[1][j]));
    UNROLL for (int j = 0; j < LIMBS - 1; j++) {
        z[j + 1] += z[j] >> LIMB_BITS;
        z[j] &= mask;
    }
    const uint64_t quotient = (uint64_t)((wide_word)z[LIMBS - 1] * f->reciprocal >> LIMB_BITS);
    UNROLL for (int j = 0; j < LIMBS; j++)
        z[j] += quotient * f->complement[j]; /* the quotient is below 2^7 */
    UNROLL for (int j = 0; j < LIMBS - 1; j++) {
        z[j + 1] += z[j] >> LIMB_BITS;
        z[j] &= mask;
    }
    z[LIMBS - 1] &= mask;
}

/* x_0 = s = (x_0 + key)^5, then x_i = d_i x_i + (x_0 + ... + x_15), so that x_0 = (d_0 + 1) s + (x_1 + ... + x_15). The first element is in `first`, with the
   round's key in it, below 2.3 r, and gets the next one's; its lane is unused. All are carried. */
INLINE void partial_round_wide(const struct field *f, const struct wide_keys *keys, const words next_key, lanes *a, words first)
{
    words squared, scaled, s, others;
    limbs total, s_limbs;
    const lanes diagonal = load_limbs(keys->diagonal);
    lanes z; /* below 1.1 r */
    /* The multiplications of words wait for each other, those of lanes do not: mixed, so that the processor sees both at once. */
    multiply_words(f, squared, first, first);      /* below 2 r */
    multiply_words(f, scaled, first, keys->first); /* (d_0 + 1) x, below 1.5 r: not to wait for s */
    multiply(f, 1, z.limb, a->limb, diagonal.limb);
    multiply_words(f, squared, squared, squared); /* below 1.8 r */
    multiply(f, 1, z.limb + 1, a->limb + 1, diagonal.limb + 1);
    sum_others(f, a, total);
    multiply_words(f, s, squared, first);       /* below 1.8 r */
    multiply_words(f, scaled, squared, scaled); /* below 1.6 r */
    to_words(others, total);
    add_words(first, scaled, others);
    add_words(first, first, next_key); /* below 4.1 r */
    shrink_words(f, first);
    to_limbs(s_limbs, s);
    UNROLL for (int j = 0; j < LIMBS; j++)
        total[j] += s_limbs[j]; /* below 3.3 r */
    *a = plus_constant(GROUPS, &z, total);
    carry(GROUPS, a);
}

IFMA void lanes_wide(const struct field *f, const struct wide_keys *keys, uint64_t *state)
{
    static const words no_key;
    lanes a = load(GROUPS, state);
    limbs lane;
    words first;
    mix_wide(f, &a);
    for (int round = 0; round < 4; round++)
        full_round_wide(f, keys->full[round], &a);
    shrink(f, GROUPS, &a);
    UNROLL for (int j = 0; j < LIMBS; j++)
        lane[j] = (uint64_t)_mm_cvtsi128_si64(_mm512_castsi512_si128(a.limb[0][j]));
    to_words(first, lane);
    add_words(first, first, keys->partial[0]);
    for (int round = 0; round < 57; round++)
        partial_round_wide(f, keys, round + 1 < 57 ? keys->partial[round + 1] : no_key, &a, first);
    to_limbs(lane, first);
    UNROLL for (int j = 0; j < LIMBS; j++)
        a.limb[0][j] = _mm512_mask_mov_epi64(a.limb[0][j], 1, all(lane[j]));
    for (int round = 4; round < 8; round++)
        full_round_wide(f, keys->full[round], &a);
    shrink(f, GROUPS, &a);
    store(GROUPS, state, &a);
}

/* ---- the wide permutation of sixteen states, element i of all of them in one `lanes`; times 2^260 */

/* The block (5 7 1 3, 4 6 1 1, 1 3 5 7, 1 1 4 6) of four elements below 1.2 r; below 1.2 r. */
IFMA static void mix_block(const struct field *f, lanes x[4])
{
    const lanes t0 = plus(GROUPS, &x[0], &x[1]), t1 = plus(GROUPS, &x[2], &x[3]);
    lanes t2 = plus(GROUPS, &x[1], &x[1]), t3 = plus(GROUPS, &x[3], &x[3]);
    t2 = plus(GROUPS, &t2, &t1);
    t3 = plus(GROUPS, &t3, &t0);
    lanes t4 = plus(GROUPS, &t1, &t1), t5 = plus(GROUPS, &t0, &t0);
    t4 = plus(GROUPS, &t4, &t4);
    t5 = plus(GROUPS, &t5, &t5);
    x[3] = plus(GROUPS, &t4, &t3);
    x[1] = plus(GROUPS, &t5, &t2);
    x[0] = plus(GROUPS, &t3, &x[1]);
    x[2] = plus(GROUPS, &t2, &x[3]);
    for (int i = 0; i < 4; i++)
        shrink(f, GROUPS, &x[i]); /* below 19.2 r before */
}

/* circ(2 M, M, M, M) of elements below 1.2 r; below 6 r. */
IFMA static void mix_many(const struct field *f, lanes a[LANES])
{
    for (int i = 0; i < LANES; i += 4)
        mix_block(f, a + i);
    for (int i = 0; i < 4; i++) {
        const lanes first = plus(GROUPS, &a[i], &a[i + 4]), second = plus(GROUPS, &a[i + 8], &a[i + 12]), sum = plus(GROUPS, &first, &second);
        for (int j = i; j < LANES; j += 4)
            a[j] = plus(GROUPS, &a[j], &sum);
    }
}

IFMA static void full_round_many(const struct field *f, const limbs keys[LANES], lanes a[LANES])
{
    for (int i = 0; i < LANES; i++) {
        a[i] = plus_constant(GROUPS, &a[i], keys[i]); /* below 7 r */
        carry(GROUPS, &a[i]);
        a[i] = power(f, GROUPS, &a[i]);
    }
    mix_many(f, a);
}

/* x_0 = (x_0 + key)^5, then x_i = d_i x_i + (x_0 + ... + x_15), for x_i below 2.4 r, carried; so are the results. */
IFMA static void partial_round_many(const struct field *f, const limbs key, const limbs diagonal[LANES], lanes a[LANES])
{
    a[0] = plus_constant(GROUPS, &a[0], key);
    carry(GROUPS, &a[0]);
    a[0] = power(f, GROUPS, &a[0]);
    lanes sum = a[0];
    for (int i = 1; i < LANES; i++)
        sum = plus(GROUPS, &sum, &a[i]);
    shrink(f, GROUPS, &sum); /* below 1.2 r + 15 * 2.4 r before, below 1.3 r after */
    for (int i = 0; i < LANES; i++) {
        a[i] = times_constant(f, GROUPS, &a[i], diagonal[i]); /* below 1.1 r */
        a[i] = plus(GROUPS, &a[i], &sum);
        carry(GROUPS, &a[i]);
    }
}

IFMA void lanes_wide_many(const struct field *f, const struct wide_many_keys *keys, uint64_t *states)
{
    lanes a[LANES];
    for (int i = 0; i < LANES; i++) {
        a[i] = load_apart(GROUPS, states + WORDS * i, WORDS * LANES);
        a[i] = times_constant(f, GROUPS, &a[i], f->into); /* below 1.1 r */
    }
    mix_many(f, a);
    for (int round = 0; round < 4; round++)
        full_round_many(f, keys->full[round], a);
    for (int i = 0; i < LANES; i++)
        shrink(f, GROUPS, &a[i]);
    for (int round = 0; round < 57; round++)
        partial_round_many(f, keys->partial[round], keys->diagonal, a);
    for (int round = 4; round < 8; round++)
        full_round_many(f, keys->full[round], a);
    for (int i = 0; i < LANES; i++) {
        carry(GROUPS, &a[i]);
        a[i] = times_constant(f, GROUPS, &a[i], f->out);
        store_apart(GROUPS, states + WORDS * i, WORDS * LANES, &a[i]);
    }
}

#else

int lanes_supported(void) { return 0; }

void lanes_narrow(const struct field *f, const struct narrow_keys *keys, const uint64_t *left, const uint64_t *right, uint64_t *out)
{
    (void)f, (void)keys, (void)left, (void)right, (void)out;
}

void lanes_narrow_half(const struct field *f, const struct narrow_keys *keys, const uint64_t *left, const uint64_t *right, uint64_t *out)
{
    (void)f, (void)keys, (void)left, (void)right, (void)out;
}

void lanes_wide(const struct field *f, const struct wide_keys *keys, uint64_t *state) { (void)f, (void)keys, (void)state; }

void lanes_wide_many(const struct field *f, const struct wide_many_keys *keys, uint64_t *states) { (void)f, (void)keys, (void)states; }

#endif
