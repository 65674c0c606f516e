// The header alone, as strict C++17, linked and called.
#include <linkspan.h>

#include <cstring>
#include <type_traits>

static_assert(std::is_standard_layout_v<linkspan_event> && std::is_trivially_copyable_v<linkspan_event>);
static_assert(std::is_same_v<linkspan_result, int32_t>, "an integer, never an enum");
static_assert(LINKSPAN_EINVAL == -1 && LINKSPAN_NUL == SIZE_MAX);

int main() {
  if (linkspan_abi_check(LINKSPAN_ABI) != LINKSPAN_OK) return 1;
  if (linkspan_abi_check(LINKSPAN_ABI + 1) != LINKSPAN_EABI) return 1;
  if (std::strcmp(linkspan_code_text(LINKSPAN_CODE_UNAVAILABLE), "UNAVAILABLE") != 0) return 1;
  return std::strncmp(linkspan_version_text(), "linkspan 0.1.", 13) == 0 ? 0 : 1;
}
