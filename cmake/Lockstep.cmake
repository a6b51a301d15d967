# lockstep_library(name SOURCES ... LINK ... PRIVATE_LINK ...)
# lockstep_program(name SOURCES ... LINK ...)
# lockstep_test(name SOURCES ... LINK ...): a Catch2 program, run by ctest as one test per file.
#
# Every target sees the repository's root as its include directory and nothing else of ours that it
# does not link: dependencies are these lines, and cmake/check_layers.py holds them against #include.

add_library(lockstep_flags INTERFACE)
target_compile_options(lockstep_flags INTERFACE
  -Wall -Wextra -Wconversion -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Werror
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<CONFIG:Release,RelWithDebInfo>>:-Wno-maybe-uninitialized>)
target_compile_definitions(lockstep_flags INTERFACE MSGPACK_NO_BOOST SPDLOG_FMT_EXTERNAL)
target_include_directories(lockstep_flags INTERFACE "${PROJECT_SOURCE_DIR}" "${PROJECT_BINARY_DIR}/generated")
if(LOCKSTEP_SANITIZE)
  target_compile_options(lockstep_flags INTERFACE -fsanitize=${LOCKSTEP_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  target_link_options(lockstep_flags INTERFACE -fsanitize=${LOCKSTEP_SANITIZE})
endif()
if(LOCKSTEP_FUZZ)  # the coverage that steers libFuzzer; it costs the other programs of the build little
  target_compile_options(lockstep_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

function(lockstep_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC lockstep_flags ${ARG_LINK} PRIVATE ${ARG_PRIVATE_LINK})
endfunction()

function(lockstep_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE lockstep_flags ${ARG_LINK})
endfunction()

function(lockstep_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE lockstep_flags lockstep_catch_main ${ARG_LINK})
  if(LOCKSTEP_SANITIZE)  # Catch2's macros take twice as long to optimise as to compile, and gain nothing by it
    target_compile_options(${name} PRIVATE -O0)
  endif()
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  add_test(NAME ${name} COMMAND ${name})
endfunction()
