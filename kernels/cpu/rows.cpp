#include "kernels/cpu/rows.h"

#include "kernels/cpu/product.h"

namespace fathom::kernels::cpu {

namespace {
// Where (r, c) stands, for types of whole bytes.
template <class Byte>
Byte* place(const MatrixOf<Byte>& x, std::int64_t r, std::int64_t c) {
  return x.data() + (r * x.stride() + c) * static_cast<std::int64_t>(model_spec::element_bytes(x.type()));
}

void expand_scaled(const ConstMatrix& x, std::int64_t r, std::int64_t first, std::int64_t count, float* out) {
  const std::int64_t group = scale_group(x.type(), x.columns()), last = first + count;
  for (std::int64_t c = first, end; c < last; c = end) {
    end = std::min(last, (c / group + 1) * group);
    const float s = x.scale(r, c);
    if (x.type() == DType::fp8_block || x.type() == DType::fp8_row) expand_e4m3(end - c, place(x, r, c), s, out + (c - first));
    else
      for (std::int64_t i = c; i < end; ++i) out[i - first] = x.get(r, i) * s;
  }
}
}  // namespace

void expand_row(const ConstMatrix& x, std::int64_t r, std::int64_t first, std::int64_t count, float* out) {
  assert(r >= 0 && r < x.rows() && first >= 0 && first + count <= x.columns());
  if (count == 0) return;
  if (x.type() == DType::fp32) std::memcpy(out, place(x, r, first), 4 * static_cast<std::size_t>(count));
  else if (x.type() == DType::bf16) expand_bf16(count, place(x, r, first), out);
  else expand_scaled(x, r, first, count, out);
}

void store_row(Matrix& y, std::int64_t r, std::int64_t first, std::int64_t count, const float* in) {
  assert(r >= 0 && r < y.rows() && first >= 0 && first + count <= y.columns());
  if (count == 0) return;
  if (y.type() == DType::fp32) {
    std::memcpy(place(y, r, first), in, 4 * static_cast<std::size_t>(count));
  } else if (y.type() == DType::bf16) {
    std::byte* to = place(y, r, first);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::uint16_t code = encode_bf16(in[i]);
      std::memcpy(to + 2 * i, &code, 2);
    }
  } else {
    for (std::int64_t i = 0; i < count; ++i) y.set(r, first + i, in[i]);
  }
}

}  // namespace fathom::kernels::cpu
