/* Included by _connections.h once for each instruction set: NAME(x) adds its suffix, WIDTH is how many 64-bit integers a vector has (0: none). */

/* Four words for each of 16 counters (a[l], b[l], c, d): out[16*w + l] is word w of counter l. */
static inline void NAME(philox)(const uint32_t *a, const uint32_t *b, uint32_t c, uint32_t d, uint32_t seed, uint32_t epoch, uint32_t *__restrict__ out) {
#if WIDTH == 8
    /* 64-bit lanes whose lower halves are the words; multiplication ignores the upper ones. Two vectors: the even and the odd counters. */
    const __m512i m0 = _mm512_set1_epi64(0xD2511F53u), m1 = _mm512_set1_epi64(0xCD9E8D57u);
    __m512i a0 = _mm512_loadu_si512(a), b0 = _mm512_loadu_si512(b), c0 = _mm512_set1_epi32((int)c), d0 = _mm512_set1_epi32((int)d), c1 = c0, d1 = d0;
    __m512i a1 = _mm512_srli_epi64(a0, 32), b1 = _mm512_srli_epi64(b0, 32), p, q, k, m;
    int round;
#pragma GCC unroll 10
    for (round = 0; round < 10; round++) {
        k = _mm512_set1_epi32((int)(seed + (uint32_t)round * 0x9E3779B9u));
        m = _mm512_set1_epi32((int)(epoch + (uint32_t)round * 0xBB67AE85u));
        p = _mm512_mul_epu32(m0, a0); q = _mm512_mul_epu32(m1, c0);
        a0 = _mm512_ternarylogic_epi64(_mm512_srli_epi64(q, 32), b0, k, 0x96); b0 = q;
        c0 = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p, 32), d0, m, 0x96); d0 = p;
        p = _mm512_mul_epu32(m0, a1); q = _mm512_mul_epu32(m1, c1);
        a1 = _mm512_ternarylogic_epi64(_mm512_srli_epi64(q, 32), b1, k, 0x96); b1 = q;
        c1 = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p, 32), d1, m, 0x96); d1 = p;
    }
    _mm512_storeu_si512(out, _mm512_mask_mov_epi32(a0, 0xAAAA, _mm512_slli_epi64(a1, 32)));
    _mm512_storeu_si512(out + 16, _mm512_mask_mov_epi32(b0, 0xAAAA, _mm512_slli_epi64(b1, 32)));
    _mm512_storeu_si512(out + 32, _mm512_mask_mov_epi32(c0, 0xAAAA, _mm512_slli_epi64(c1, 32)));
    _mm512_storeu_si512(out + 48, _mm512_mask_mov_epi32(d0, 0xAAAA, _mm512_slli_epi64(d1, 32)));
#elif WIDTH == 4
    const __m256i m0 = _mm256_set1_epi64x(0xD2511F53u), m1 = _mm256_set1_epi64x(0xCD9E8D57u);
    int round, half;
    for (half = 0; half < 16; half += 8) {
        __m256i a0 = _mm256_loadu_si256((const __m256i *)(a + half)), b0 = _mm256_loadu_si256((const __m256i *)(b + half));
        __m256i c0 = _mm256_set1_epi32((int)c), d0 = _mm256_set1_epi32((int)d), c1 = c0, d1 = d0;
        __m256i a1 = _mm256_srli_epi64(a0, 32), b1 = _mm256_srli_epi64(b0, 32), p, q, k, m;
#pragma GCC unroll 10
        for (round = 0; round < 10; round++) {
            k = _mm256_set1_epi32((int)(seed + (uint32_t)round * 0x9E3779B9u));
            m = _mm256_set1_epi32((int)(epoch + (uint32_t)round * 0xBB67AE85u));
            p = _mm256_mul_epu32(m0, a0); q = _mm256_mul_epu32(m1, c0);
            a0 = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(q, 32), b0), k); b0 = q;
            c0 = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(p, 32), d0), m); d0 = p;
            p = _mm256_mul_epu32(m0, a1); q = _mm256_mul_epu32(m1, c1);
            a1 = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(q, 32), b1), k); b1 = q;
            c1 = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(p, 32), d1), m); d1 = p;
        }
        _mm256_storeu_si256((__m256i *)(out + half), _mm256_blend_epi32(a0, _mm256_slli_epi64(a1, 32), 0xAA));
        _mm256_storeu_si256((__m256i *)(out + half + 16), _mm256_blend_epi32(b0, _mm256_slli_epi64(b1, 32), 0xAA));
        _mm256_storeu_si256((__m256i *)(out + half + 32), _mm256_blend_epi32(c0, _mm256_slli_epi64(c1, 32), 0xAA));
        _mm256_storeu_si256((__m256i *)(out + half + 48), _mm256_blend_epi32(d0, _mm256_slli_epi64(d1, 32), 0xAA));
    }
#else
    int l, round;
    for (l = 0; l < 16; l++) {
        uint32_t w0 = a[l], w1 = b[l], w2 = c, w3 = d, k = seed, m = epoch;
        for (round = 0; round < 10; round++) {
            uint64_t p = (uint64_t)0xD2511F53u * w0, q = (uint64_t)0xCD9E8D57u * w2;
            w0 = (uint32_t)(q >> 32) ^ w1 ^ k; w1 = (uint32_t)q;
            w2 = (uint32_t)(p >> 32) ^ w3 ^ m; w3 = (uint32_t)p;
            k += 0x9E3779B9u; m += 0xBB67AE85u;
        }
        out[l] = w0; out[16 + l] = w1; out[32 + l] = w2; out[48 + l] = w3;
    }
#endif
}

/* The numbers of the bits that are set among `count` words, plus base; up to 16 numbers behind the last may be overwritten. Returns where they end. */
static inline int32_t *NAME(extract)(const uint32_t *words, int count, uint32_t base, int32_t *out) {
    int k;
    for (k = 0; k < count; k++, base += 32) {
        uint32_t word = words[k];
        if (word == 0) continue;
#if WIDTH == 8
        {
            const __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
            __m512i low = _mm512_add_epi32(lanes, _mm512_set1_epi32((int)base)), high = _mm512_add_epi32(low, _mm512_set1_epi32(16));
            _mm512_storeu_si512(out, _mm512_maskz_compress_epi32((__mmask16)word, low));
            out += __builtin_popcount(word & 0xffffu);
            _mm512_storeu_si512(out, _mm512_maskz_compress_epi32((__mmask16)(word >> 16), high));
            out += __builtin_popcount(word >> 16);
        }
#elif WIDTH == 4
        do {
            *out++ = (int32_t)(base + (uint32_t)__builtin_ctz(word));
            word &= word - 1;
        } while (word);
#else
        {
            int bit;
            for (bit = 0; bit < 32; bit++) if (word >> bit & 1u) *out++ = (int32_t)(base + (uint32_t)bit);
        }
#endif
    }
    return out;
}

/* One run where successes are frequent: for 32 candidates at a time, the binary digits of 32 uniform numbers are drawn, first the highest, until all of the
 * numbers are known to be below or above p. Exact for p with up to 64 binary digits; about 12 random bits for each candidate. */
static int32_t *NAME(dense_run)(uint32_t row, int32_t start, int32_t stop, double p, uint32_t seed, uint32_t epoch, int32_t *out) {
    uint64_t digits = (uint64_t)(p * 18446744073709551616.0);
    uint32_t group[16], rows[16], words[64], open[16], chosen[16], any;
    int64_t first, last = ((int64_t)stop + 31) / 32;
    int l, quartet, plane;
    for (l = 0; l < 16; l++) rows[l] = row;
    for (first = start / 32; first < last; first += 16) {
        for (l = 0; l < 16; l++) { group[l] = (uint32_t)(first + l); open[l] = 0xffffffffu; }
        if (first * 32 < start || (first + 16) * 32 > stop) {
            for (l = 0; l < 16; l++) { /* candidates that are not in the run are decided */
                int64_t from = (first + l) * 32;
                if (from < start) open[l] = start - from < 32 ? open[l] << (start - from) : 0;
                if (from + 32 > stop) open[l] &= stop > from ? 0xffffffffu >> (from + 32 - stop) : 0;
            }
        }
#if WIDTH == 8
        {
            __m512i undecided = _mm512_loadu_si512(open), taken = _mm512_setzero_si512();
            for (quartet = 0; quartet < 16; quartet++) {
                NAME(philox)(group, rows, (uint32_t)quartet, DENSE, seed, epoch, words);
                for (plane = 0; plane < 4; plane++) {
                    __m512i word = _mm512_loadu_si512(words + 16 * plane);
                    __m512i digit = _mm512_set1_epi32(-(int)(digits >> (63 - 4 * quartet - plane) & 1u));
                    taken = _mm512_or_si512(taken, _mm512_ternarylogic_epi32(undecided, word, digit, 0x20)); /* undecided & ~word & digit */
                    undecided = _mm512_ternarylogic_epi32(undecided, word, digit, 0x90);                      /* undecided & ~(word ^ digit) */
                }
                if (quartet >= 2 && !_mm512_test_epi32_mask(undecided, undecided)) break; /* seldom earlier: not worth a branch that cannot be predicted */
            }
            _mm512_storeu_si512(chosen, taken);
        }
        (void)any;
#else
        for (l = 0; l < 16; l++) chosen[l] = 0;
        for (quartet = 0; quartet < 16; quartet++) {
            NAME(philox)(group, rows, (uint32_t)quartet, DENSE, seed, epoch, words);
            for (plane = 0; plane < 4; plane++) {
                uint32_t digit = (uint32_t)(digits >> (63 - 4 * quartet - plane) & 1u) ? 0xffffffffu : 0;
                const uint32_t *word = words + 16 * plane;
                for (l = 0; l < 16; l++) {
                    chosen[l] |= open[l] & ~word[l] & digit;
                    open[l] &= ~(word[l] ^ digit);
                }
            }
            for (any = 0, l = 0; l < 16; l++) any |= open[l];
            if (!any) break;
        }
#endif
        out = NAME(extract)(chosen, 16, (uint32_t)(first * 32), out);
    }
    return out;
}

/* One run where successes are rare: from each to the next by a jump of geometric length. */
static int32_t *NAME(sparse_run)(uint32_t row, int32_t start, int32_t stop, double scale, uint32_t seed, uint32_t epoch, int32_t *out) {
    uint32_t number[16], rows[16], words[64];
    double first[16], second[16];
    int32_t jump[32];
    int64_t place = (int64_t)start - 1;
    int l;
    for (l = 0; l < 16; l++) { rows[l] = row; number[l] = (uint32_t)l; }
    for (;;) {
        NAME(philox)(number, rows, (uint32_t)start, SPARSE, seed, epoch, words);
        for (l = 0; l < 16; l++) {
            double x = natural_log(1.0 - unit(words[l], words[16 + l])) * scale, y = natural_log(1.0 - unit(words[32 + l], words[48 + l])) * scale;
            first[l] = x < 2147483647.0 ? x : 2147483647.0;
            second[l] = y < 2147483647.0 ? y : 2147483647.0;
        }
        for (l = 0; l < 16; l++) { jump[l] = (int32_t)first[l]; jump[16 + l] = (int32_t)second[l]; }
        for (l = 0; l < 32; l++) {
            place += (int64_t)jump[l] + 1;
            if (place >= stop) return out;
            *out++ = (int32_t)place;
        }
        for (l = 0; l < 16; l++) number[l] += 16;
    }
}

/* The chosen candidates of the runs from `first` on, as long as there is room for all candidates of a run and 32 more; returns the run that comes next. */
static ptrdiff_t NAME(draw_runs)(const Runs *runs, ptrdiff_t first, ptrdiff_t last, int32_t *rows, int32_t *columns, int64_t capacity, int64_t *count,
                                 int32_t *counts) {
    int64_t used = *count, k;
    double known = -1.0, scale = 0.0;
    for (; first < last; first++) {
        int32_t row = runs->row[first * runs->row_step], start = runs->start[first * runs->start_step], stop = runs->stop[first * runs->stop_step];
        double p = runs->p[first * runs->p_step];
        int32_t *begin = columns + used, *end = begin;
        if (counts) counts[first] = 0;
        if (!(p > 0) || stop <= start) continue;
        if (capacity - used < (int64_t)stop - start + 32) break;
        if (p >= 1.0) {
            for (k = start; k < stop; k++) begin[k - start] = (int32_t)k;
            end += stop - start;
        } else if (p >= 0.09) {
            end = NAME(dense_run)((uint32_t)row, start, stop, p, runs->seed, runs->epoch, begin);
        } else {
            if (p != known) { scale = 1.0 / log1p(-p); known = p; }
            end = NAME(sparse_run)((uint32_t)row, start, stop, scale, runs->seed, runs->epoch, begin);
        }
        if (rows) for (k = used; k < used + (end - begin); k++) rows[k] = row;
        used += end - begin;
        if (counts) counts[first] = (int32_t)(end - begin);
    }
    *count = used;
    return first;
}

/* The pairs whose byte is 1; up to 16 numbers behind the last may be overwritten. Returns how many there are. */
static ptrdiff_t NAME(keep)(const uint8_t *chosen, ptrdiff_t size, const int32_t *rows, const int32_t *columns, int32_t *to_rows, int32_t *to_columns) {
    ptrdiff_t k = 0, n = 0;
#if WIDTH == 8
    for (; k + 16 <= size; k += 16) {
        __mmask16 mask = (__mmask16)_mm_test_epi8_mask(_mm_loadu_si128((const __m128i *)(chosen + k)), _mm_set1_epi8(1));
        _mm512_storeu_si512(to_rows + n, _mm512_maskz_compress_epi32(mask, _mm512_loadu_si512(rows + k)));
        _mm512_storeu_si512(to_columns + n, _mm512_maskz_compress_epi32(mask, _mm512_loadu_si512(columns + k)));
        n += __builtin_popcount(mask);
    }
#endif
    for (; k < size; k++) {
        to_rows[n] = rows[k];
        to_columns[n] = columns[k];
        n += chosen[k] & 1;
    }
    return n;
}

/* the counters of 16 elements from number k on */
static inline void NAME(counters)(const Place *place, ptrdiff_t k, ptrdiff_t size, uint32_t *steps, uint32_t *elements) {
    ptrdiff_t left = size - k < 16 ? size - k : 16, l;
    for (l = 0; l < 16; l++) { steps[l] = place->step; elements[l] = (uint32_t)(place->first + k + l); }
    if (place->element) for (l = 0; l < left; l++) elements[l] = (uint32_t)place->element[k + l];
    if (place->column) for (l = 0; l < left; l++) { steps[l] = (uint32_t)place->row[k + l]; elements[l] = (uint32_t)place->column[k + l]; }
}

static void NAME(uniforms)(const Place *place, ptrdiff_t size, double *out) {
    uint32_t steps[16], elements[16], words[64];
    double values[16];
    ptrdiff_t k, l;
    for (k = 0; k < size; k += 16) {
        NAME(counters)(place, k, size, steps, elements);
        NAME(philox)(steps, elements, place->stream, place->last, place->seed, place->epoch, words);
        for (l = 0; l < 16; l++) values[l] = unit(words[l], words[16 + l]);
        memcpy(out + k, values, (size_t)(size - k < 16 ? size - k : 16) * sizeof(double));
    }
}

static void NAME(normals)(const Place *place, ptrdiff_t size, double *out) {
    uint32_t steps[16], elements[16], words[64];
    double values[16];
    ptrdiff_t k, l;
    for (k = 0; k < size; k += 16) {
        NAME(counters)(place, k, size, steps, elements);
        NAME(philox)(steps, elements, place->stream, place->last, place->seed, place->epoch, words);
        for (l = 0; l < 16; l++)
            values[l] = sqrt(-2.0 * natural_log(1.0 - unit(words[l], words[16 + l]))) * cos_of_turns(unit(words[32 + l], words[48 + l]));
        memcpy(out + k, values, (size_t)(size - k < 16 ? size - k : 16) * sizeof(double));
    }
}
