// Standard normal numbers: ladder_ebgan/philox.py says which, and tests hold this to it.

#include <cmath>
#include <cstdint>
#include <cstring>

namespace {

constexpr long LENGTH = 256;  // counters that are worked on side by side
constexpr uint32_t M0 = 0xD2511F53, M1 = 0xCD9E8D57, W0 = 0x9E3779B9, W1 = 0xBB67AE85;

inline float as_float(uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}

// log(u) for u in (0, 1], from u = 2^e m with m in [sqrt(1/2), sqrt(2)).
inline float logarithm(float u) {
    uint32_t bits;
    std::memcpy(&bits, &u, 4);
    const uint32_t shifted = bits - 0x3f3504f3;  // sqrt(1/2)
    const float e = static_cast<float>(static_cast<int32_t>(shifted) >> 23);
    const float x = as_float((shifted & 0x007fffff) + 0x3f3504f3) - 1.0f;
    float p = 7.0376836292e-2f;
    p = p * x - 1.1514610310e-1f;
    p = p * x + 1.1676998740e-1f;
    p = p * x - 1.2420140846e-1f;
    p = p * x + 1.4249322787e-1f;
    p = p * x - 1.6668057665e-1f;
    p = p * x + 2.0000714765e-1f;
    p = p * x - 2.4999993993e-1f;
    p = p * x + 3.3333331174e-1f;
    const float x2 = x * x;
    return (p * x * x2 - 2.12194440e-4f * e - 0.5f * x2) + x + 0.693359375f * e;
}

// Two independent numbers from two words, by Box and Muller: the angle is `word` / 2^32 of a turn.
inline void box_muller(uint32_t radius_word, uint32_t word, float* cosine, float* sine) {
    const float u = (static_cast<float>(radius_word) + 1.0f) * 0x1p-32f;
    const float radius = std::sqrt(-2.0f * logarithm(u));
    const uint32_t quarter = (word + 0x20000000u) >> 30;  // the nearest of four directions
    const float x = static_cast<float>(static_cast<int32_t>(word - (quarter << 30))) * 1.46291807926715968e-9f;
    const float x2 = x * x;  // |x| <= pi / 4
    const float s = ((-1.9515295891e-4f * x2 + 8.3321608736e-3f) * x2 - 1.6666654611e-1f) * x2 * x + x;
    const float c =
        ((2.443315711809948e-5f * x2 - 1.388731625493765e-3f) * x2 + 4.166664568298827e-2f) * x2 * x2 - 0.5f * x2 + 1.0f;
    const bool odd = quarter & 1;
    const float first = odd ? s : c, second = odd ? c : s;
    *cosine = radius * ((quarter + 1) & 2 ? -first : first);
    *sine = radius * (quarter & 2 ? -second : second);
}

}  // namespace

// numbers: [replicas, 4 counters], of which counter i fills i, counters + i, 2 counters + i and 3 counters + i.
extern "C" void philox_normal(const int64_t* keys, long replicas, int64_t step, long counters, float* numbers,
                              long threads) {
    const long blocks = (counters + LENGTH - 1) / LENGTH;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (long block = 0; block < replicas * blocks; ++block) {
        const long replica = block / blocks, first = block % blocks * LENGTH;
        const long length = first + LENGTH <= counters ? LENGTH : counters - first;
        const uint64_t key = static_cast<uint64_t>(keys[replica]);
        float drawn[4][LENGTH];
        for (long i = 0; i < LENGTH; ++i) {
            const uint64_t counter = static_cast<uint64_t>(first + i);
            uint32_t c0 = static_cast<uint32_t>(counter), c1 = static_cast<uint32_t>(counter >> 32);
            uint32_t c2 = static_cast<uint32_t>(step), c3 = static_cast<uint32_t>(step >> 32);
            uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
#pragma GCC unroll 10
            for (int round = 0; round < 10; ++round, k0 += W0, k1 += W1) {
                const uint64_t p0 = static_cast<uint64_t>(M0) * c0, p1 = static_cast<uint64_t>(M1) * c2;
                c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0, c1 = static_cast<uint32_t>(p1);
                c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1, c3 = static_cast<uint32_t>(p0);
            }
            box_muller(c0, c1, &drawn[0][i], &drawn[1][i]);
            box_muller(c2, c3, &drawn[2][i], &drawn[3][i]);
        }
        for (long part = 0; part < 4; ++part)
            std::memcpy(numbers + (replica * 4 + part) * counters + first, drawn[part], length * sizeof(float));
    }
}
