# SPDX-License-Identifier: Apache-2.0
# How a test program is made and registered. Included by tests/CMakeLists.txt.
include(GoogleTest)

# Of every test: what the sanitizers read at start, if there is one, and that nothing
# depends on the costs that were measured on this machine. ThreadSanitizer follows the
# thread storage of libraries that were opened at run time, and falls over it now and
# then: it is UCX's, which is not instrumented, so nothing is lost without that.
set(suppressions ${PROJECT_SOURCE_DIR}/tests/suppressions)
set(NIXL_CONNECT_TEST_ENVIRONMENT
  "ASAN_OPTIONS=detect_stack_use_after_return=1"
  "LSAN_OPTIONS=suppressions=${suppressions}/lsan.txt:print_suppressions=0"
  "TSAN_OPTIONS=suppressions=${suppressions}/tsan.txt:halt_on_error=1:intercept_tls_get_addr=0"
  "UBSAN_OPTIONS=suppressions=${suppressions}/ubsan.txt:print_stacktrace=1"
  "NIXL_CONNECT_COSTS=")

# For programs that open UCX: LeakSanitizer's tracer falls over the thread storage of
# libraries that were opened at run time, at random and after every test has passed.
set(NIXL_CONNECT_NO_LEAK_CHECK "ASAN_OPTIONS=detect_stack_use_after_return=1:detect_leaks=0")

# nixl_connect_test(NAME SOURCES file... LINKS target...
#                   [ENVIRONMENT VAR=value...] [TIMEOUT seconds] [LABELS label...] [NO_MAIN]
#                   [AGAIN PREFIX VAR=value])
# One GoogleTest program; each TEST in it becomes a ctest entry, found when ctest starts.
# NO_MAIN: a source of the program has its own main (for one that starts itself again as
# a second process). TIMEOUT is per TEST, 60 seconds unless given. AGAIN: all tests run a
# second time, with that prefix to their names and that variable set.
#
# With a sanitizer the program takes longer to start than most tests do, so there is an
# entry for each quarter of its tests only, with four times as long, and no second time.
function(nixl_connect_test name)
  cmake_parse_arguments(arg "NO_MAIN" "TIMEOUT" "SOURCES;LINKS;ENVIRONMENT;LABELS;AGAIN"
    ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src
                                             ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${arg_LINKS} GTest::gtest)
  if(NOT arg_NO_MAIN)
    target_link_libraries(${name} PRIVATE GTest::gtest_main)
  endif()
  target_compile_options(${name} PRIVATE ${NIXL_CONNECT_WARNINGS})

  set(environment ${NIXL_CONNECT_TEST_ENVIRONMENT} ${arg_ENVIRONMENT})
  if(CMAKE_CXX_FLAGS MATCHES "-fsanitize")
    nixl_connect_register_quarters(${name})
    return()
  endif()
  nixl_connect_register(${name} ${name})
  if(arg_AGAIN)
    list(POP_FRONT arg_AGAIN prefix variable)
    list(APPEND environment ${variable})
    nixl_connect_register(${name} ${name}_again TEST_PREFIX ${prefix})
  endif()
endfunction()

# nixl_connect_register(PROGRAM LIST discovery-option...): the program's tests, with the
# properties that nixl_connect_test() has got. These have lists in them, which
# gtest_discover_tests would take apart: they are set by a file that ctest reads behind
# the list of tests, ${LIST}_TESTS.
function(nixl_connect_register program list)
  gtest_discover_tests(${program} DISCOVERY_MODE PRE_TEST TEST_LIST ${list}_TESTS ${ARGN})
  set(properties ${CMAKE_CURRENT_BINARY_DIR}/${list}_properties.cmake)
  file(WRITE ${properties}
    "set_tests_properties(\${${list}_TESTS} PROPERTIES TIMEOUT ${arg_TIMEOUT}\n"
    "  LABELS \"${arg_LABELS}\" ENVIRONMENT \"${environment}\")\n")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${properties})
endfunction()

# The same for the quarters of the program's tests.
function(nixl_connect_register_quarters program)
  math(EXPR timeout "4 * ${arg_TIMEOUT}")
  foreach(quarter RANGE 3)
    add_test(NAME ${program}.${quarter} COMMAND ${program} --gtest_brief=1)
    set_tests_properties(${program}.${quarter} PROPERTIES TIMEOUT ${timeout}
      LABELS "${arg_LABELS}"
      ENVIRONMENT "${environment};GTEST_TOTAL_SHARDS=4;GTEST_SHARD_INDEX=${quarter}")
  endforeach()
endfunction()

# nixl_connect_fuzz(NAME SOURCES file... LINKS target...)
# One libFuzzer program, built when NIXL_CONNECT_FUZZ is on; `fuzzers` builds all of them.
# It lands in <build>/fuzzers/NAME, its seed inputs are in tests/fuzz/corpus/NAME.
function(nixl_connect_fuzz name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzzers)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src
                                             ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${arg_LINKS})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  target_compile_options(${name} PRIVATE ${NIXL_CONNECT_WARNINGS})
  if(NOT TARGET fuzzers)
    add_custom_target(fuzzers)
  endif()
  add_dependencies(fuzzers ${name})
endfunction()
