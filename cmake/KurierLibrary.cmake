# kurier_library(name [DEPENDS target…]): a static library of every .cc in the current folder; includes are written from
# the repository root. kurier_test(name SOURCES… DEPENDS…): a Catch2 program, registered with ctest.
# kurier_static(name): an installed library, linked from its archive (kurier::static::name).

add_library(kurier_options INTERFACE)
target_compile_options(kurier_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor -Wold-style-cast
  -Wno-missing-field-initializers -Werror -fno-omit-frame-pointer)
# The checksum and the byte swaps use what every x86-64 server since 2013 has.
target_compile_options(kurier_options INTERFACE -march=x86-64-v2)
target_include_directories(kurier_options INTERFACE ${CMAKE_SOURCE_DIR})
if(KURIER_SANITIZE)
  target_compile_options(kurier_options INTERFACE -fsanitize=${KURIER_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(kurier_options INTERFACE -fsanitize=${KURIER_SANITIZE})
else()
  # What nothing calls is not in the program, so that it is neither read nor relocated.
  target_compile_options(kurier_options INTERFACE -ffunction-sections -fdata-sections)
  target_link_options(kurier_options INTERFACE -Wl,--gc-sections)
endif()

# Debian's own CMake files name the shared libraries; loading and relocating those is most of what a start would cost.
function(kurier_static name)
  find_library(KURIER_STATIC_${name} NAMES lib${name}.a REQUIRED)
  add_library(kurier::static::${name} STATIC IMPORTED GLOBAL)
  set_target_properties(kurier::static::${name} PROPERTIES IMPORTED_LOCATION ${KURIER_STATIC_${name}})
endfunction()

function(kurier_library name)
  cmake_parse_arguments(arg "" "" "DEPENDS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  if(NOT sources)  # nothing but headers
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE kurier_options ${arg_DEPENDS})
    return()
  endif()
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC kurier_options ${arg_DEPENDS})
endfunction()

function(kurier_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE kurier_test_main ${arg_DEPENDS})
  add_test(NAME ${name} COMMAND ${name})
endfunction()
