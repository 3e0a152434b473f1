# How our targets are made: warnings, sanitizers, one library per folder, data compiled in.

option(FATHOM_SANITIZE "AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
option(FATHOM_FUZZ "libFuzzer instrumentation and targets (clang only)" OFF)

if(FATHOM_SANITIZE)
  # toml++ 3.3 reaches __builtin_unreachable() on valid text that is not ASCII (marzer/tomlplusplus#305): harmless, but fatal here.
  add_compile_options(-fsanitize=address,undefined -fno-sanitize=unreachable -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
endif()
if(FATHOM_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# Every target of ours links this. Clang counts sign conversions under -Wconversion, g++ does not; we follow g++. And g++ 12 at -O1 takes the
# edge iterators of Boost.Graph, which hold an optional, for uninitialised.
add_library(fathom_warnings INTERFACE)
target_compile_options(fathom_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;-Wshadow;-Wconversion;$<IF:$<CXX_COMPILER_ID:Clang>,-Wno-sign-conversion,-Wno-maybe-uninitialized>>)

# fathom_library(folder [PUBLIC|PRIVATE targets...]): fathom_<folder> of every .cpp in the current folder (except main.cpp) and the headers
# in and below it. A folder of headers alone becomes an interface library.
function(fathom_library folder)
  set(library fathom_${folder})
  file(GLOB sources CONFIGURE_DEPENDS *.cpp)
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS *.h)
  list(FILTER headers EXCLUDE REGEX "/cuda/")  # a library of their own
  if(sources)
    add_library(${library} STATIC ${sources})
    target_link_libraries(${library} PRIVATE fathom_warnings ${ARGN})
    set(scope PUBLIC)
  else()
    add_library(${library} INTERFACE)
    list(TRANSFORM ARGN REPLACE "^(PUBLIC|PRIVATE)$" INTERFACE)
    target_link_libraries(${library} ${ARGN})
    set(scope INTERFACE)
  endif()
  target_sources(${library} ${scope} FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${headers})
endfunction()

# fathom_embed(library function folder): compiles every .toml in and below `folder` into `library`, as fathom::embedded::<function>()
# (model_spec/embedded.h).
function(fathom_embed library function folder)
  set(folder ${CMAKE_CURRENT_SOURCE_DIR}/${folder})
  file(GLOB_RECURSE files CONFIGURE_DEPENDS RELATIVE ${folder} ${folder}/*.toml)
  list(LENGTH files count)
  set(entries "")
  foreach(file IN LISTS files)
    file(READ ${folder}/${file} text)
    string(APPEND entries "    {\"${file}\", R\"toml(${text})toml\"},\n")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${folder}/${file})
  endforeach()
  set(output ${CMAKE_CURRENT_BINARY_DIR}/embedded_${function}.cpp)
  file(WRITE ${output}.new "// Generated from ${function}: see fathom_embed in cmake/targets.cmake.
#include \"model_spec/embedded.h\"

#include <array>

namespace fathom::embedded {

std::span<const File> ${function}() {
  static constexpr std::array<File, ${count}> files{{
${entries}  }};
  return files;
}

}  // namespace fathom::embedded
")
  file(COPY_FILE ${output}.new ${output} ONLY_IF_DIFFERENT)
  target_sources(${library} PRIVATE ${output})
endfunction()

# fathom_version(library): defines fathom::version() and fathom::version_commit() (model_spec/version.h) in `library`.
function(fathom_version library)
  execute_process(COMMAND git describe --always --tags WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE result)
  if(EXISTS ${PROJECT_SOURCE_DIR}/.git/logs/HEAD)  # configure again after a commit
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/.git/logs/HEAD)
  endif()
  set(output ${CMAKE_CURRENT_BINARY_DIR}/version.cpp)
  file(CONFIGURE OUTPUT ${output} CONTENT "#include \"model_spec/version.h\"

std::string_view fathom::version() { return \"${PROJECT_VERSION}\"; }
std::string_view fathom::version_commit() { return \"${commit}\"; }
")
  target_sources(${library} PRIVATE ${output})
endfunction()
