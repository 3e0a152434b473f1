#include "executor/cuda/devices.h"

#include <gtest/gtest.h>

#include "kernels/cuda/capability.h"

namespace fathom::executor {
namespace {

TEST(Devices, the_kernels_are_built_for_whole_capabilities) {
  ASSERT_FALSE(kernels::cuda::capabilities().empty());
  for (const int c : kernels::cuda::capabilities()) EXPECT_EQ(c % 10, 0);
}

TEST(Devices, a_device_of_another_capability_is_named_with_both) {
  const int own = kernels::cuda::capabilities().front();
  EXPECT_FALSE(capability_fault("NVIDIA X", own));
  const auto fault = capability_fault("NVIDIA X", 800);
  ASSERT_TRUE(fault);
  EXPECT_NE(fault->cause.find("NVIDIA X has 8.0"), std::string::npos) << fault->cause;
  EXPECT_NE(fault->cause.find("built for compute capability " + std::to_string(own / 100) + "." + std::to_string(own % 100 / 10)), std::string::npos);
  EXPECT_TRUE(capability_fault("NVIDIA X", own + 10));  // instructions of one architecture, not of those after it
}

TEST(Devices, facts_and_fault_agree) {
  const auto facts = cuda_facts();
  const auto fault = cuda_fault();
  ASSERT_EQ(facts.fault.has_value(), fault.has_value());
  if (fault) { EXPECT_EQ(facts.fault->cause, fault->cause); }
  EXPECT_TRUE(fault || !facts.devices.empty());
  EXPECT_FALSE(facts.runtime.empty());
}

}  // namespace
}  // namespace fathom::executor
