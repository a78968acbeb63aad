// A device that is not the CPU, in host memory: torch's PrivateUse1.
//
// Every operator goes through `on_device`. It first demands what a CUDA card demands, namely that all
// tensors are on the device but for the few that CUDA takes from the CPU, too; then it runs the CPU's
// kernel on CPU tensors that share the same bytes, and returns what came of it as tensors of the
// device. So results are the CPU's to the last bit, and a tensor on the wrong device is an error.

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/EmptyTensor.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/DispatchStub.h>
#include <ATen/native/transformers/attention.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <atomic>
#include <mutex>
#include <set>
#include <unordered_map>

namespace emulated {

using at::Tensor;
using c10::Device;
using c10::DeviceIndex;
using c10::DispatchKey;
using c10::DispatchKeySet;
using c10::IValue;
using c10::Storage;
using c10::Stream;

const Device kDevice(c10::DeviceType::PrivateUse1, 0);

// ---- memory --------------------------------------------------------------------------------------

void drop_storage(void* held) {
  delete static_cast<Storage*>(held);
}

// Bytes of a storage, as if they were on another device; the storage lives as long as they do.
c10::DataPtr shared_bytes(const Storage& storage, Device device) {
  return {storage.mutable_data(), new Storage(storage), &drop_storage, device};
}

struct DeviceAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t size) override {
    Storage host(Storage::use_byte_size_t(), size, c10::GetCPUAllocator(), false);
    return shared_bytes(host, kDevice);
  }
  c10::DeleterFnPtr raw_deleter() const override {
    return nullptr;
  }
  void copy_data(void* to, const void* from, size_t size) const override {
    default_copy_data(to, from, size);
  }
};

DeviceAllocator allocator;
REGISTER_ALLOCATOR(c10::DeviceType::PrivateUse1, &allocator);

// Pinned memory is the CPU's, and is known by its address.
std::mutex pinned_mutex;
std::set<const void*> pinned;

void unpin(void* address) {
  std::lock_guard<std::mutex> lock(pinned_mutex);
  pinned.erase(address);
  c10::GetCPUAllocator()->raw_deallocate(address);
}

struct PinnedAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t size) override {
    void* address = c10::GetCPUAllocator()->raw_allocate(size);
    std::lock_guard<std::mutex> lock(pinned_mutex);
    pinned.insert(address);
    return {address, address, &unpin, Device(c10::DeviceType::CPU)};
  }
  void copy_data(void* to, const void* from, size_t size) const override {
    default_copy_data(to, from, size);
  }
};

PinnedAllocator pinned_allocator;

// ---- random numbers ------------------------------------------------------------------------------

// The device has a generator of its own, as a card has: the CPU's seed and state are not its.
struct DeviceGenerator final : c10::GeneratorImpl {
  explicit DeviceGenerator(c10::intrusive_ptr<at::CPUGeneratorImpl> host)
      : GeneratorImpl(kDevice, DispatchKeySet(DispatchKey::PrivateUse1)), host(std::move(host)) {}
  DeviceGenerator() : DeviceGenerator(c10::make_intrusive<at::CPUGeneratorImpl>()) {}

  void set_current_seed(uint64_t seed) override {
    host->set_current_seed(seed);
  }
  void set_offset(uint64_t offset) override {
    host->set_offset(offset);
  }
  uint64_t get_offset() const override {
    return host->get_offset();
  }
  uint64_t current_seed() const override {
    return host->current_seed();
  }
  uint64_t seed() override {
    return host->seed();
  }
  void set_state(const c10::TensorImpl& state) override {
    host->set_state(state);
  }
  c10::intrusive_ptr<c10::TensorImpl> get_state() const override {
    return host->get_state();
  }

  c10::intrusive_ptr<at::CPUGeneratorImpl> host;

 private:
  DeviceGenerator* clone_impl() const override {
    auto copy = c10::make_intrusive<at::CPUGeneratorImpl>();
    copy->set_state(*host->get_state());
    return new DeviceGenerator(copy);
  }
};

const at::Generator& default_generator() {
  static at::Generator generator = at::make_generator<DeviceGenerator>();
  return generator;
}

at::CPUGeneratorImpl& host_of(const at::Generator& generator) {
  return *static_cast<DeviceGenerator*>(generator.unsafeGetGeneratorImpl())->host;
}

// Lets kernels that ask the CPU for random numbers draw the device's.
struct DrawsFromDevice {
  DrawsFromDevice() {
    exchange();
  }
  ~DrawsFromDevice() {
    exchange();
  }

 private:
  static void exchange() {
    auto* one = static_cast<at::CPUGeneratorImpl*>(
        at::detail::getDefaultCPUGenerator().unsafeGetGeneratorImpl());
    auto& other = host_of(default_generator());
    auto engine = one->engine();
    auto single = one->next_float_normal_sample();
    auto twice = one->next_double_normal_sample();
    one->set_engine(other.engine());
    one->set_next_float_normal_sample(other.next_float_normal_sample());
    one->set_next_double_normal_sample(other.next_double_normal_sample());
    other.set_engine(engine);
    other.set_next_float_normal_sample(single);
    other.set_next_double_normal_sample(twice);
  }
};

// ---- the device as torch sees it -----------------------------------------------------------------

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override {
    return c10::DeviceType::PrivateUse1;
  }
  Device exchangeDevice(Device) const override {
    return kDevice;
  }
  Device getDevice() const override {
    return kDevice;
  }
  void setDevice(Device) const override {}
  void uncheckedSetDevice(Device) const noexcept override {}
  Stream getStream(Device) const override {
    return Stream(Stream::DEFAULT, kDevice);
  }
  Stream getDefaultStream(Device) const override {
    return Stream(Stream::DEFAULT, kDevice);
  }
  Stream getNewStream(Device, int) const override {
    return Stream(Stream::DEFAULT, kDevice);
  }
  Stream exchangeStream(Stream) const override {
    return Stream(Stream::DEFAULT, kDevice);
  }
  void record(void**, const Stream&, const DeviceIndex, const c10::EventFlag) const override {}
  void block(void*, const Stream&) const override {}
  bool queryEvent(void*) const override {
    return true;
  }
  bool queryStream(const Stream&) const override {
    return true;
  }
  void synchronizeStream(const Stream&) const override {}
  void synchronizeEvent(void*) const override {}
  void synchronizeDevice(const DeviceIndex) const override {}
  DeviceIndex deviceCount() const noexcept override {
    return 1;
  }
};

C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override {
    return true;
  }
  bool isAvailable() const override {
    return true;
  }
  bool hasPrimaryContext(DeviceIndex) const override {
    return true;
  }
  DeviceIndex deviceCount() const override {
    return 1;
  }
  DeviceIndex getCurrentDevice() const override {
    return 0;
  }
  void setCurrentDevice(DeviceIndex) const override {}
  DeviceIndex exchangeDevice(DeviceIndex) const override {
    return 0;
  }
  DeviceIndex maybeExchangeDevice(DeviceIndex) const override {
    return 0;
  }
  const at::Generator& getDefaultGenerator(DeviceIndex) const override {
    return default_generator();
  }
  at::Generator getNewGenerator(DeviceIndex) const override {
    return at::make_generator<DeviceGenerator>();
  }
  Device getDeviceFromPtr(void*) const override {
    return kDevice;
  }
  c10::Allocator* getPinnedMemoryAllocator() const override {
    return &pinned_allocator;
  }
  bool isPinnedPtr(const void* address) const override {
    std::lock_guard<std::mutex> lock(pinned_mutex);
    return pinned.count(address) > 0;
  }
};

bool registered = [] {
  at::RegisterPrivateUse1HooksInterface(new Hooks());
  return true;
}();

// ---- one call of an operator ---------------------------------------------------------------------

Tensor tensor_on(DispatchKey key, const Storage& storage, const Tensor& like) {
  auto made = at::detail::make_tensor<c10::TensorImpl>(
      Storage(storage), DispatchKeySet(key), like.dtype());
  auto* impl = made.unsafeGetTensorImpl();
  impl->set_sizes_and_strides(like.sizes(), like.strides(), like.storage_offset());
  if (like.is_conj()) {
    impl->_set_conj(true);
  }
  if (like.is_neg()) {
    impl->_set_neg(true);
  }
  if (like.unsafeGetTensorImpl()->is_wrapped_number()) {
    impl->set_wrapped_number(true);
  }
  return made;
}

// Tensors of the device, and the CPU tensors on the same bytes with which a kernel is called.
class Call {
 public:
  Tensor on_cpu(const Tensor& tensor) {
    if (!tensor.defined() || tensor.device() != kDevice) {
      return tensor;
    }
    for (auto& [device, host] : tensors_) {
      if (device.is_same(tensor)) {
        return host;
      }
    }
    TORCH_CHECK(tensor.layout() == c10::kStrided, "emulated: only strided tensors are supported");
    auto host = tensor_on(DispatchKey::CPU, host_storage(tensor.storage()), tensor);
    tensors_.emplace_back(tensor, host);
    return host;
  }

  Tensor on_device(const Tensor& result) {
    if (!result.defined()) {
      return result;
    }
    for (auto& [device, host] : tensors_) {
      if (host.is_same(result)) {
        return device;
      }
    }
    TORCH_CHECK(result.layout() == c10::kStrided, "emulated: only strided tensors are supported");
    return tensor_on(DispatchKey::PrivateUse1, device_storage(result.storage()), result);
  }

  // Takes over what a kernel changed of its arguments beside their numbers: shape and room.
  void finish() {
    for (auto& [device, host] : storages_) {
      if (host.data() != device.data()) {
        const size_t size = host.nbytes();
        Storage grown(
            Storage::use_byte_size_t(), size, host.set_data_ptr(c10::DataPtr()), nullptr, false);
        device.set_data_ptr_noswap(shared_bytes(grown, kDevice));
        device.set_nbytes(size);
      }
    }
    for (auto& [device, host] : tensors_) {
      if (device.sizes() != host.sizes() || device.strides() != host.strides() ||
          device.storage_offset() != host.storage_offset()) {
        device.unsafeGetTensorImpl()->set_sizes_and_strides(
            host.sizes(), host.strides(), host.storage_offset());
      }
    }
  }

 private:
  Storage host_storage(const Storage& device) {
    for (auto& [one, host] : storages_) {
      if (one.is_alias_of(device)) {
        return host;
      }
    }
    Storage host(
        Storage::use_byte_size_t(),
        device.nbytes(),
        shared_bytes(device, Device(c10::DeviceType::CPU)),
        c10::GetCPUAllocator(),
        true);
    storages_.emplace_back(device, host);
    return host;
  }

  Storage device_storage(const Storage& host) {
    for (auto& [device, one] : storages_) {
      if (one.unsafeGetStorageImpl() == host.unsafeGetStorageImpl()) {
        return device;
      }
    }
    Storage device(
        Storage::use_byte_size_t(), host.nbytes(), shared_bytes(host, kDevice), &allocator, true);
    storages_.emplace_back(device, host);
    return device;
  }

  std::vector<std::pair<Storage, Storage>> storages_;
  std::vector<std::pair<Tensor, Tensor>> tensors_;
};

// ---- what CUDA takes from the CPU ----------------------------------------------------------------

using Names = std::set<std::string>;

// Arguments that may be on the CPU whatever their shape.
const std::unordered_map<std::string, Names> kFromAnywhere{
    {"aten::index", {"indices"}},
    {"aten::index_put", {"indices"}},
    {"aten::index_put_", {"indices"}},
    {"aten::_index_put_impl", {"indices"}},
    {"aten::_index_put_impl_", {"indices"}},
    {"aten::_unsafe_index", {"indices"}},
    {"aten::_unsafe_index_put", {"indices"}},
    {"aten::_pack_padded_sequence", {"lengths"}},
};
// Arguments that may be on the CPU as tensors of no dimensions; in pointwise operators all may.
const std::unordered_map<std::string, Names> kScalars{
    {"aten::index_put", {"values"}},
    {"aten::index_put_", {"values"}},
    {"aten::_index_put_impl", {"values"}},
    {"aten::_index_put_impl_", {"values"}},
    {"aten::index_fill", {"value"}},
    {"aten::index_fill_", {"value"}},
    {"aten::fill", {"value"}},
    {"aten::fill_", {"value"}},
    {"aten::_fused_adam_", {"lr"}},
    {"aten::_fused_adamw_", {"lr"}},
    {"aten::_fused_sgd_", {"lr"}},
};

bool names(
    const std::unordered_map<std::string, Names>& allowed,
    const std::string& name,
    const std::string& argument) {
  auto found = allowed.find(name);
  return found != allowed.end() && found->second.count(argument) > 0;
}

void demand_device(
    const c10::OperatorHandle& op, const c10::Argument& argument, const Tensor& tensor) {
  if (!tensor.defined() || tensor.device() == kDevice) {
    return;
  }
  const auto& name = op.schema().name();
  bool written = argument.alias_info() != nullptr && argument.alias_info()->isWrite();
  if (tensor.is_cpu() && !written) {
    if (tensor.unsafeGetTensorImpl()->is_wrapped_number() ||
        names(kFromAnywhere, name, argument.name())) {
      return;
    }
    bool scalars = op.hasTag(at::Tag::pointwise) || names(kScalars, name, argument.name());
    if (tensor.dim() == 0 && scalars) {
      return;
    }
  }
  TORCH_CHECK(
      false,
      "Expected all tensors to be on the same device, but found at least two devices, ",
      kDevice,
      " and ",
      tensor.device(),
      "! (when checking argument ",
      argument.name(),
      " of ",
      op.operator_name(),
      ")");
}

// ---- operators -----------------------------------------------------------------------------------

std::atomic<int64_t> calls{0};
std::atomic<int64_t> to_host{0}; // on a card each of these waits for everything before it

void on_device(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  calls++;
  const auto& schema = op.schema();
  const auto& arguments = schema.arguments();
  const size_t first = stack->size() - arguments.size();
  Call call;
  bool draws = op.hasTag(at::Tag::nondeterministic_seeded);
  for (size_t i = 0; i < arguments.size(); i++) {
    IValue& value = (*stack)[first + i];
    const auto& argument = arguments[i];
    auto given = [&](const Tensor& tensor) {
      demand_device(op, argument, tensor);
      return call.on_cpu(tensor);
    };
    if (value.isTensor()) {
      value = given(value.toTensor());
    } else if (value.isTensorList()) {
      c10::List<Tensor> all;
      for (const Tensor& tensor : value.toTensorVector()) {
        all.push_back(given(tensor));
      }
      value = all;
    } else if (value.isOptionalTensorList()) {
      c10::List<std::optional<Tensor>> all;
      for (const std::optional<Tensor>& tensor : value.toOptionalTensorVector()) {
        all.push_back(tensor ? std::optional<Tensor>(given(*tensor)) : std::nullopt);
      }
      value = all;
    } else if (value.isDevice()) {
      TORCH_CHECK(value.toDevice().is_privateuseone());
      value = Device(c10::DeviceType::CPU);
    } else if (value.isGenerator()) {
      auto generator = value.toGenerator();
      TORCH_CHECK(
          generator.device().type() == kDevice.type(),
          "Expected a '", kDevice.type(), "' device type for generator but found '",
          generator.device().type(), "'");
      draws = false;
      auto host = static_cast<DeviceGenerator*>(generator.unsafeGetGeneratorImpl())->host;
      value = at::Generator(host);
    }
  }
  {
    at::AutoDispatchBelowADInplaceOrView below;
    std::optional<DrawsFromDevice> drawing;
    if (draws) {
      drawing.emplace();
    }
    op.callBoxed(stack);
  }
  call.finish();
  for (size_t i = stack->size() - schema.returns().size(); i < stack->size(); i++) {
    IValue& value = (*stack)[i];
    if (value.isTensor()) {
      value = call.on_device(value.toTensor());
    } else if (value.isTensorList()) {
      c10::List<Tensor> all;
      for (const Tensor& tensor : value.toTensorVector()) {
        all.push_back(call.on_device(tensor));
      }
      value = all;
    }
  }
}

Tensor empty(
    at::IntArrayRef size,
    std::optional<at::ScalarType> dtype,
    std::optional<at::Layout>,
    std::optional<Device>,
    std::optional<bool>,
    std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(
      size,
      &allocator,
      DispatchKeySet(DispatchKey::PrivateUse1),
      c10::dtype_or_default(dtype),
      format);
}

Tensor empty_strided(
    at::IntArrayRef size,
    at::IntArrayRef stride,
    std::optional<at::ScalarType> dtype,
    std::optional<at::Layout>,
    std::optional<Device>,
    std::optional<bool>) {
  return at::detail::empty_strided_generic(
      size,
      stride,
      &allocator,
      DispatchKeySet(DispatchKey::PrivateUse1),
      c10::dtype_or_default(dtype));
}

// The one operator that moves numbers between devices.
Tensor copy_from(const Tensor& source, const Tensor& target, bool) {
  calls++;
  if (target.is_cpu()) {
    to_host++;
  }
  Call call;
  auto from = call.on_cpu(source), to = call.on_cpu(target);
  at::AutoDispatchBelowADInplaceOrView below;
  to.copy_(from);
  return target;
}

Tensor copy_from_and_resize(const Tensor& source, const Tensor& target) {
  target.resize_(source.sizes());
  return copy_from(source, target, false);
}

at::Scalar item(const Tensor& tensor) {
  to_host++;
  Call call;
  auto host = call.on_cpu(tensor);
  at::AutoDispatchBelowADInplaceOrView below;
  return at::_local_scalar_dense(host);
}

Tensor& set_storage(
    Tensor& tensor,
    Storage storage,
    c10::SymInt offset,
    c10::SymIntArrayRef size,
    c10::SymIntArrayRef stride) {
  TORCH_CHECK(
      storage.device() == tensor.device(),
      "Attempted to set the storage of a tensor on device ", tensor.device(),
      " to a storage on different device ", storage.device());
  auto* impl = tensor.unsafeGetTensorImpl();
  impl->set_storage_keep_dtype(std::move(storage));
  auto sizes = C10_AS_INTARRAYREF_SLOW(size);
  if (stride.size() == size.size()) {
    impl->set_sizes_and_strides(sizes, C10_AS_INTARRAYREF_SLOW(stride), offset.expect_int());
  } else {
    impl->set_sizes_and_strides(sizes, c10::contiguous_strides(sizes), offset.expect_int());
  }
  return tensor;
}

Tensor& set_whole_storage(Tensor& tensor, Storage storage) {
  std::vector<c10::SymInt> size{
      static_cast<int64_t>(storage.nbytes() / tensor.dtype().itemsize())};
  return set_storage(tensor, std::move(storage), 0, size, {});
}

Tensor& set_tensor(Tensor& tensor, const Tensor& source) {
  return set_storage(
      tensor, source.storage(), source.storage_offset(), source.sym_sizes(), source.sym_strides());
}

// As between the CPU and CUDA: `Module.to` changes a parameter, and does not put another in its place.
bool may_take_the_place(const Tensor& one, const Tensor& other) {
  return one.layout() == c10::kStrided && other.layout() == c10::kStrided;
}

int64_t choose_attention(
    const Tensor&, const Tensor&, const Tensor&, const std::optional<Tensor>&, double, bool,
    std::optional<double>, bool) {
  return static_cast<int64_t>(at::SDPBackend::math); // it is made of operators that are checked
}

// torch gives every device but the CPU its LSTM in one piece, which the CPU does not have.
std::tuple<Tensor, Tensor, Tensor> lstm_cell(
    const Tensor& from_input,
    const Tensor& from_state,
    const Tensor& cell,
    const std::optional<Tensor>& input_bias,
    const std::optional<Tensor>& state_bias) {
  auto gates = from_input + from_state;
  for (const auto& bias : {input_bias, state_bias}) {
    if (bias && bias->defined()) {
      gates = gates + *bias;
    }
  }
  auto parts = gates.chunk(4, 1);
  auto in = parts[0].sigmoid(), forget = parts[1].sigmoid(), fresh = parts[2].tanh(),
       out = parts[3].sigmoid();
  auto after = forget * cell + in * fresh;
  return {out * after.tanh(), after, at::cat({in, forget, fresh, out}, 1)};
}

std::tuple<Tensor, Tensor, Tensor> lstm_cell_backward(
    const std::optional<Tensor>& grad_state,
    const std::optional<Tensor>& grad_cell,
    const Tensor& cell,
    const Tensor& after,
    const Tensor& workspace,
    bool has_bias) {
  auto parts = workspace.chunk(4, 1);
  auto in = parts[0], forget = parts[1], fresh = parts[2], out = parts[3], seen = after.tanh();
  auto state = grad_state && grad_state->defined() ? *grad_state : at::zeros_like(after);
  auto inner = state * out * (1 - seen * seen);
  if (grad_cell && grad_cell->defined()) {
    inner = inner + *grad_cell;
  }
  auto gates = at::cat(
      {inner * fresh * in * (1 - in),
       inner * cell * forget * (1 - forget),
       inner * in * (1 - fresh * fresh),
       state * seen * out * (1 - out)},
      1);
  return {gates, inner * forget, has_bias ? gates.sum(0) : Tensor()};
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) {
  m.fallback(torch::CppFunction::makeFromBoxedFunction<&on_device>());
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", empty);
  m.impl("empty_strided", empty_strided);
  m.impl("_copy_from", copy_from);
  m.impl("_copy_from_and_resize", copy_from_and_resize);
  m.impl("_local_scalar_dense", item);
  m.impl("set_.source_Storage_storage_offset", set_storage);
  m.impl("set_.source_Storage", set_whole_storage);
  m.impl("set_.source_Tensor", set_tensor);
  m.impl("_has_compatible_shallow_copy_type", may_take_the_place);
  m.impl("_fused_sdp_choice", choose_attention);
  m.impl("_thnn_fused_lstm_cell", lstm_cell);
  m.impl("_thnn_fused_lstm_cell_backward_impl", lstm_cell_backward);
}

// ---- what Python asks ----------------------------------------------------------------------------

void manual_seed(int64_t seed) {
  host_of(default_generator()).set_current_seed(static_cast<uint64_t>(seed));
}

Tensor get_rng_state() {
  return Tensor(host_of(default_generator()).get_state()).clone();
}

void set_rng_state(const Tensor& state) {
  TORCH_CHECK(state.is_cpu(), "a random state is a tensor on the CPU");
  host_of(default_generator()).set_state(*state.unsafeGetTensorImpl());
}

TORCH_LIBRARY(emulated_device, m) {
  m.def("manual_seed(int seed) -> ()", manual_seed);
  m.def("get_rng_state() -> Tensor", get_rng_state);
  m.def("set_rng_state(Tensor state) -> ()", set_rng_state);
  m.def("calls() -> int", []() -> int64_t { return calls; });
  m.def("to_host() -> int", []() -> int64_t { return to_host; });
}

} // namespace emulated

namespace at::native {
REGISTER_PRIVATEUSE1_DISPATCH(_fused_sdp_choice_stub, &emulated::choose_attention);
} // namespace at::native

// Autocast casts the same operators as on CUDA.
namespace at::autocast {

TORCH_LIBRARY_IMPL(_, AutocastPrivateUse1, m) {
  m.fallback(torch::CppFunction::makeFallthrough());
}

TORCH_LIBRARY_IMPL(aten, AutocastPrivateUse1, m) {
#define LOWER_PRECISION(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, lower_precision_fp)
#define FP32(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, fp32)
#define FP32_SET_OPT_DTYPE(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, fp32_set_opt_dtype)
#define PROMOTE(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, promote)
  AT_FORALL_LOWER_PRECISION_FP(LOWER_PRECISION)
  AT_FORALL_FP32(FP32)
  AT_FORALL_FP32_SET_OPT_DTYPE(FP32_SET_OPT_DTYPE)
  AT_FORALL_DIFFERENT_REDISPATCH_SIGNATURE(KERNEL_DIFFERENT_REDISPATCH_SIGNATURE_PRIVATEUSEONE)
  AT_FORALL_PROMOTE(PROMOTE)
}

} // namespace at::autocast
