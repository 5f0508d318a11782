// The two element-wise parts of a ladder, each forward and backward in one sweep over memory.
//
// What they compute is defined in ladder_ebgan/layers.py (noisy_layer, denoise); tests hold them to it. Arrays are
// [replicas, batch, features], the last axis contiguous; `Strided` arrays may be slices along the other two. A
// batch holds `groups` equal consecutive parts with statistics of their own. Each thread takes blocks of columns
// and goes down their rows, so sums have one order whatever the number of threads, and a block stays in the
// cache between its passes. A product's type P is float or bfloat16; all arithmetic here is float.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

constexpr long BLOCK = 64;           // columns
constexpr float EPSILON = 1e-10f;    // as in layers.py

struct bfloat16 {
    uint16_t bits;
    bfloat16() = default;
    bfloat16(float value) {  // to the nearest, ties to even; not a number stays so
        uint32_t word;
        std::memcpy(&word, &value, 4);
        const uint32_t rounded = (word + 0x7fff + ((word >> 16) & 1)) >> 16;
        bits = static_cast<uint16_t>(value == value ? rounded : 0x7fc0);
    }
    operator float() const {
        const uint32_t word = static_cast<uint32_t>(bits) << 16;
        float value;
        std::memcpy(&value, &word, 4);
        return value;
    }
};

inline float sigmoid(float x) {
    // 1 / (1 + exp(-x)); exp(y) = 2^n exp(r) with |r| <= ln(2)/2 and a polynomial for exp(r)
    const float y = x > 87.0f ? -87.0f : x < -87.0f ? 87.0f : -x;
    const float n = (y * 1.44269504f + 12582912.0f) - 12582912.0f;  // rounds to the nearest integer
    const float r = (y - n * 0.693145752f) - n * 1.42860677e-6f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = (p * r) * r + r + 1.0f;
    const int32_t exponent = (static_cast<int32_t>(n) + 127) << 23;
    float power;
    std::memcpy(&power, &exponent, 4);
    const float result = 1.0f / (1.0f + p * power);
    return x == x ? result : x;
}

struct Shape {
    long replicas, groups, batch, features;  // batch: rows of a group
    long threads;
};

struct Strided {
    const float* data;  // null: none
    long replica, row;
    const float* at(long r, long b) const { return data + r * replica + b * row; }
};

// Mean and 1 / sqrt(variance) of `width` columns, in two passes.
template <class P>
inline void statistics(const P* x, long rows, long stride, long width, float* mean, float* scale) {
    float sum[BLOCK] = {}, squares[BLOCK] = {};
    for (long b = 0; b < rows; ++b)
        for (long j = 0; j < width; ++j) sum[j] += static_cast<float>(x[b * stride + j]);
    for (long j = 0; j < width; ++j) mean[j] = sum[j] / rows;
    for (long b = 0; b < rows; ++b)
        for (long j = 0; j < width; ++j) {
            const float centered = static_cast<float>(x[b * stride + j]) - mean[j];
            squares[j] += centered * centered;
        }
    for (long j = 0; j < width; ++j) scale[j] = 1.0f / std::sqrt(squares[j] / rows + EPSILON);
}

// Run work(replica, first column, width) for every block of columns. The width of a full block is a constant.
template <class Work>
void for_each_block(const Shape& s, Work work) {
    const long blocks = (s.features + BLOCK - 1) / BLOCK;
#pragma omp parallel for schedule(static) num_threads(s.threads)
    for (long i = 0; i < s.replicas * blocks; ++i) {
        const long column = i % blocks * BLOCK, rest = s.features - column;
        if (rest >= BLOCK) work(i / blocks, column, BLOCK);
        else work(i / blocks, column, rest);
    }
}

template <class P>
void noisy_layer_forward(Shape s, const P* z_pre, Strided noise, float noise_std, const float* beta, bool relu,
                         long n_decoded, P* h, float* z_decoded, float* means, float* scales) {
    const long n = s.features;
    for_each_block(s, [=](long r, long column, long width) __attribute__((always_inline)) {
        for (long g = 0; g < s.groups; ++g) {
            const long first = (r * s.groups + g) * s.batch;  // row of the group
            const P* x = z_pre + first * n + column;
            float* mean = means + (r * s.groups + g) * n + column;
            float* scale = scales + (r * s.groups + g) * n + column;
            statistics(x, s.batch, n, width, mean, scale);
            const float* shift = beta + r * n + column;
            for (long b = 0; b < s.batch; ++b) {
                float z[BLOCK];
                for (long j = 0; j < width; ++j) z[j] = (static_cast<float>(x[b * n + j]) - mean[j]) * scale[j];
                if (noise.data) {
                    const float* e = noise.at(r, g * s.batch + b) + column;
                    for (long j = 0; j < width; ++j) z[j] += noise_std * e[j];
                }
                if (const long d = g - (s.groups - n_decoded); d >= 0) {
                    float* lateral = z_decoded + ((r * n_decoded + d) * s.batch + b) * n + column;
                    for (long j = 0; j < width; ++j) lateral[j] = z[j];
                }
                P* out = h + (first + b) * n + column;
                if (relu)
                    for (long j = 0; j < width; ++j) out[j] = z[j] + shift[j] < 0 ? 0.0f : z[j] + shift[j];
                else
                    for (long j = 0; j < width; ++j) out[j] = z[j] + shift[j];
            }
        }
    });
}

// Gradient of the normalisation: rows of `gradient` [batch, BLOCK] with respect to its output become those with
// respect to its input.
template <class P>
inline void normalization_backward(const P* x, long rows, long stride, long width, const float* mean,
                                   const float* scale, const float* gradient, P* result) {
    float sum[BLOCK] = {}, product[BLOCK] = {};
    for (long b = 0; b < rows; ++b)
        for (long j = 0; j < width; ++j) {
            const float normalized = (static_cast<float>(x[b * stride + j]) - mean[j]) * scale[j];
            sum[j] += gradient[b * BLOCK + j];
            product[j] += gradient[b * BLOCK + j] * normalized;
        }
    for (long j = 0; j < width; ++j) sum[j] /= rows, product[j] /= rows;
    for (long b = 0; b < rows; ++b)
        for (long j = 0; j < width; ++j) {
            const float normalized = (static_cast<float>(x[b * stride + j]) - mean[j]) * scale[j];
            result[b * stride + j] = scale[j] * (gradient[b * BLOCK + j] - sum[j] - normalized * product[j]);
        }
}

template <class P>
void noisy_layer_backward(Shape s, const P* z_pre, const float* means, const float* scales, const P* h, bool relu,
                          long n_decoded, const P* grad_h, Strided grad_z_decoded, P* grad_z_pre, float* grad_beta) {
    const long n = s.features;
    for_each_block(s, [=](long r, long column, long width) __attribute__((always_inline)) {
        std::vector<float> gradient(s.batch * BLOCK);
        float shift[BLOCK] = {};
        for (long g = 0; g < s.groups; ++g) {
            const long first = (r * s.groups + g) * s.batch, offset = (r * s.groups + g) * n + column;
            for (long b = 0; b < s.batch; ++b) {
                const P *out = h + (first + b) * n + column, *upper = grad_h + (first + b) * n + column;
                float* row = gradient.data() + b * BLOCK;
                for (long j = 0; j < width; ++j)
                    row[j] = relu && static_cast<float>(out[j]) <= 0 ? 0.0f : static_cast<float>(upper[j]);
                for (long j = 0; j < width; ++j) shift[j] += row[j];
                if (const long d = g - (s.groups - n_decoded); grad_z_decoded.data && d >= 0) {
                    const float* lateral = grad_z_decoded.at(r, d * s.batch + b) + column;
                    for (long j = 0; j < width; ++j) row[j] += lateral[j];
                }
            }
            normalization_backward(z_pre + first * n + column, s.batch, n, width, means + offset, scales + offset,
                                   gradient.data(), grad_z_pre + first * n + column);
        }
        for (long j = 0; j < width; ++j) grad_beta[r * n + column + j] = shift[j];
    });
}

// What a combinator computes for one unit of one example is defined in ladder_ebgan/combinators.py; parameter k of
// the unit is a[k * n]. `gradient` is given that of z_hat and adds those of the parameters to sums[k][j].

struct Gaussian {
    static constexpr long N_PARAMETERS = 10;

    static inline float value(const float* a, long n, float u, float z) {
        const float mu = a[0] * sigmoid(a[n] * u + a[2 * n]) + a[3 * n] * u + a[4 * n];
        const float v = a[5 * n] * sigmoid(a[6 * n] * u + a[7 * n]) + a[8 * n] * u + a[9 * n];
        return (z - mu) * v + mu;
    }

    static inline void gradient(const float* a, long n, float u, float z, float g, float* grad_u, float* grad_z,
                                float (*sums)[BLOCK], long j) {
        const float s1 = sigmoid(a[n] * u + a[2 * n]), s2 = sigmoid(a[6 * n] * u + a[7 * n]);
        const float mu = a[0] * s1 + a[3 * n] * u + a[4 * n];
        const float v = a[5 * n] * s2 + a[8 * n] * u + a[9 * n];
        const float grad_mu = g * (1.0f - v), grad_v = g * (z - mu);
        const float inner1 = grad_mu * a[0] * s1 * (1.0f - s1);  // at the argument of the sigmoid
        const float inner2 = grad_v * a[5 * n] * s2 * (1.0f - s2);
        *grad_z = g * v;
        *grad_u = inner1 * a[n] + grad_mu * a[3 * n] + inner2 * a[6 * n] + grad_v * a[8 * n];
        sums[0][j] += grad_mu * s1, sums[1][j] += inner1 * u, sums[2][j] += inner1;
        sums[3][j] += grad_mu * u, sums[4][j] += grad_mu;
        sums[5][j] += grad_v * s2, sums[6][j] += inner2 * u, sums[7][j] += inner2;
        sums[8][j] += grad_v * u, sums[9][j] += grad_v;
    }
};

struct Vanilla {  // b0, w0z, w0u, w0zu, w_sigma, b1, w1z, w1u, w1zu
    static constexpr long N_PARAMETERS = 9;

    static inline float inner(const float* a, long n, float u, float z) {
        return a[5 * n] + a[6 * n] * z + a[7 * n] * u + a[8 * n] * (z * u);
    }

    static inline float value(const float* a, long n, float u, float z) {
        return a[0] + a[n] * z + a[2 * n] * u + a[3 * n] * (z * u) + a[4 * n] * sigmoid(inner(a, n, u, z));
    }

    static inline void gradient(const float* a, long n, float u, float z, float g, float* grad_u, float* grad_z,
                                float (*sums)[BLOCK], long j) {
        const float s = sigmoid(inner(a, n, u, z)), grad_inner = g * a[4 * n] * s * (1.0f - s), zu = z * u;
        *grad_u = g * (a[2 * n] + a[3 * n] * z) + grad_inner * (a[7 * n] + a[8 * n] * z);
        *grad_z = g * (a[n] + a[3 * n] * u) + grad_inner * (a[6 * n] + a[8 * n] * u);
        sums[0][j] += g, sums[1][j] += g * z, sums[2][j] += g * u, sums[3][j] += g * zu, sums[4][j] += g * s;
        sums[5][j] += grad_inner, sums[6][j] += grad_inner * z, sums[7][j] += grad_inner * u;
        sums[8][j] += grad_inner * zu;
    }
};

struct Amlp {  // of the hidden units: biases, weights of u, of z, of uz, weights to z_hat; then the bias of z_hat
    static constexpr long HIDDEN = 4, N_PARAMETERS = 5 * HIDDEN + 1;
    static constexpr float LEAK = 0.1f;

    static inline float inner(const float* a, long n, long k, float u, float z) {
        return a[k * n] + a[(HIDDEN + k) * n] * u + a[(2 * HIDDEN + k) * n] * z +
               a[(3 * HIDDEN + k) * n] * (u * z);
    }

    static inline float value(const float* a, long n, float u, float z) {
        float z_hat = a[5 * HIDDEN * n];
#pragma GCC unroll 4
        for (long k = 0; k < HIDDEN; ++k) {
            const float x = inner(a, n, k, u, z);
            z_hat += a[(4 * HIDDEN + k) * n] * (x > 0 ? x : LEAK * x);
        }
        return z_hat;
    }

    static inline void gradient(const float* a, long n, float u, float z, float g, float* grad_u, float* grad_z,
                                float (*sums)[BLOCK], long j) {
        float of_u = 0, of_z = 0;
#pragma GCC unroll 4
        for (long k = 0; k < HIDDEN; ++k) {
            const float x = inner(a, n, k, u, z), upper = g * a[(4 * HIDDEN + k) * n];
            const float t = x > 0 ? upper : LEAK * upper;  // at the argument of the leaky ReLU
            of_u += t * (a[(HIDDEN + k) * n] + a[(3 * HIDDEN + k) * n] * z);
            of_z += t * (a[(2 * HIDDEN + k) * n] + a[(3 * HIDDEN + k) * n] * u);
            sums[k][j] += t, sums[HIDDEN + k][j] += t * u, sums[2 * HIDDEN + k][j] += t * z;
            sums[3 * HIDDEN + k][j] += t * (u * z), sums[4 * HIDDEN + k][j] += g * (x > 0 ? x : LEAK * x);
        }
        sums[5 * HIDDEN][j] += g;
        *grad_u = of_u, *grad_z = of_z;
    }
};

template <class C, class P, class H>
void denoise_forward(Shape s, const P* u_pre, Strided z, const float* parameters, H* z_hat, float* means,
                     float* scales) {
    const long n = s.features;
    for_each_block(s, [=](long r, long column, long width) __attribute__((always_inline)) {
        const float* a = parameters + r * C::N_PARAMETERS * n + column;
        for (long g = 0; g < s.groups; ++g) {
            const long first = (r * s.groups + g) * s.batch, offset = (r * s.groups + g) * n + column;
            const P* x = u_pre + first * n + column;
            float *mean = means + offset, *scale = scales + offset;
            statistics(x, s.batch, n, width, mean, scale);
            for (long b = 0; b < s.batch; ++b) {
                const float* lateral = z.at(r, g * s.batch + b) + column;
                float row[BLOCK];  // converted in a loop of its own: with it, the other one is not vectorised
#pragma omp simd
                for (long j = 0; j < width; ++j) {
                    const float u = (static_cast<float>(x[b * n + j]) - mean[j]) * scale[j];
                    row[j] = C::value(a + j, n, u, lateral[j]);
                }
                H* out = z_hat + (first + b) * n + column;
                for (long j = 0; j < width; ++j) out[j] = row[j];
            }
        }
    });
}

template <class C, class P, class H>
void denoise_backward(Shape s, const P* u_pre, Strided z, const float* parameters, const float* means,
                      const float* scales, const H* grad_z_hat, P* grad_u_pre, float* grad_z, float* grad_parameters) {
    constexpr long N = C::N_PARAMETERS;
    const long n = s.features;
    for_each_block(s, [=](long r, long column, long width) __attribute__((always_inline)) {
        std::vector<float> gradient(s.batch * BLOCK);
        const float* a = parameters + r * N * n + column;
        float sums[N][BLOCK] = {};
        for (long g = 0; g < s.groups; ++g) {
            const long first = (r * s.groups + g) * s.batch, offset = (r * s.groups + g) * n + column;
            const P* x = u_pre + first * n + column;
            const float *mean = means + offset, *scale = scales + offset;
            for (long b = 0; b < s.batch; ++b) {
                const float* lateral = z.at(r, g * s.batch + b) + column;
                const H* upper = grad_z_hat + (first + b) * n + column;
                float *row = gradient.data() + b * BLOCK, *grad_lateral = grad_z + (first + b) * n + column;
#pragma omp simd
                for (long j = 0; j < width; ++j) {
                    const float u = (static_cast<float>(x[b * n + j]) - mean[j]) * scale[j];
                    const float of_z_hat = static_cast<float>(upper[j]);
                    C::gradient(a + j, n, u, lateral[j], of_z_hat, row + j, grad_lateral + j, sums, j);
                }
            }
            normalization_backward(x, s.batch, n, width, mean, scale, gradient.data(),
                                   grad_u_pre + first * n + column);
        }
        for (long k = 0; k < N; ++k)
            for (long j = 0; j < width; ++j) grad_parameters[(r * N + k) * n + column + j] = sums[k][j];
    });
}

}  // namespace

// Named after their types: of the products, and, where it can be another one, of what is handed on.
#define NOISY_LAYER(P)                                                                                          \
    extern "C" void noisy_layer_forward_##P(Shape s, const P* z_pre, Strided noise, float noise_std,            \
                                            const float* beta, bool relu, long n_decoded, P* h,                   \
                                            float* z_decoded, float* means, float* scales) {                    \
        noisy_layer_forward(s, z_pre, noise, noise_std, beta, relu, n_decoded, h, z_decoded, means, scales);      \
    }                                                                                                           \
    extern "C" void noisy_layer_backward_##P(Shape s, const P* z_pre, const float* means, const float* scales,  \
                                             const P* h, bool relu, long n_decoded, const P* grad_h,              \
                                             Strided grad_z_decoded, P* grad_z_pre, float* grad_beta) {         \
        noisy_layer_backward(s, z_pre, means, scales, h, relu, n_decoded, grad_h, grad_z_decoded, grad_z_pre,     \
                             grad_beta);                                                                        \
    }
#define DENOISE(NAME, C, P, H)                                                                                  \
    extern "C" void NAME##_forward_##P##_##H(Shape s, const P* u_pre, Strided z, const float* parameters,       \
                                             H* z_hat, float* means, float* scales) {                           \
        denoise_forward<C>(s, u_pre, z, parameters, z_hat, means, scales);                                      \
    }                                                                                                           \
    extern "C" void NAME##_backward_##P##_##H(Shape s, const P* u_pre, Strided z, const float* parameters,      \
                                              const float* means, const float* scales, const H* grad_z_hat,     \
                                              P* grad_u_pre, float* grad_z, float* grad_parameters) {           \
        denoise_backward<C>(s, u_pre, z, parameters, means, scales, grad_z_hat, grad_u_pre, grad_z,             \
                            grad_parameters);                                                                   \
    }
#define DENOISE_ALL(NAME, C)             \
    DENOISE(NAME, C, float, float)       \
    DENOISE(NAME, C, bfloat16, float)    \
    DENOISE(NAME, C, bfloat16, bfloat16)

NOISY_LAYER(float)
NOISY_LAYER(bfloat16)
DENOISE_ALL(gaussian, Gaussian)
DENOISE_ALL(vanilla, Vanilla)
DENOISE_ALL(amlp, Amlp)
