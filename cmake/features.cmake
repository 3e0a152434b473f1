# What is found, not required. FATHOM_CUDA, FATHOM_GUI and FATHOM_MPI are AUTO (use it if found), ON (refuse to configure without it)
# or OFF; HAVE_CUDA, HAVE_GUI and HAVE_MPI say what came of it.

# fathom_feature(CUDA "what it is" found "what to install"): settles HAVE_CUDA from FATHOM_CUDA, and prints one line of the summary.
function(fathom_feature name what found remedy)
  set(have OFF)
  if(NOT FATHOM_${name})
    set(state "off")
  elseif(found)
    set(have ON)
    set(state "found")
  elseif(FATHOM_${name} STREQUAL "AUTO")
    set(state "not found (${remedy})")
  else()
    message(FATAL_ERROR "FATHOM_${name}=ON, but ${what} was not found: ${remedy}. FATHOM_${name}=AUTO builds without it.")
  endif()
  set(HAVE_${name} ${have} PARENT_SCOPE)
  message(STATUS "${name}: ${state}")
endfunction()

foreach(name CUDA GUI MPI)
  set(FATHOM_${name} AUTO CACHE STRING "AUTO, ON or OFF")
  set_property(CACHE FATHOM_${name} PROPERTY STRINGS AUTO ON OFF)
endforeach()

# CUDA. CMake does not look in /usr/local/cuda by itself.
if(FATHOM_CUDA)
  find_program(FATHOM_NVCC nvcc HINTS $ENV{CUDACXX} $ENV{CUDA_HOME}/bin /usr/local/cuda/bin)
endif()
fathom_feature(CUDA "the CUDA compiler" "${FATHOM_NVCC}" "nvcc of CUDA 13, on PATH or in /usr/local/cuda/bin")

# Enabling the language takes seconds, so only if there is something to compile.
file(GLOB_RECURSE FATHOM_CUDA_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/cuda/*.cu)
if(HAVE_CUDA AND FATHOM_CUDA_SOURCES)
  set(CMAKE_CUDA_COMPILER ${FATHOM_NVCC})
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 90a)  # "native" fails on a machine without a GPU
  endif()
  enable_language(CUDA)
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 knows no C++20 flag for nvcc
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  endif()
  set(CMAKE_CUDA_STANDARD 20)
  find_package(CUDAToolkit 13.0 REQUIRED)
endif()

# The desktop app.
if(FATHOM_GUI)
  find_package(Qt6 6.4 QUIET COMPONENTS Widgets Svg PrintSupport Test)
  find_package(QCustomPlotQt6 QUIET CONFIG)
  if(Qt6_FOUND AND QCustomPlotQt6_FOUND)
    set(FATHOM_QT found)
  endif()
endif()
fathom_feature(GUI "Qt 6 with QCustomPlot" "${FATHOM_QT}" "qt6-base-dev qt6-svg-dev libqt6opengl6-dev libqcustomplot-dev")

if(FATHOM_MPI)
  find_package(MPI QUIET COMPONENTS CXX)
endif()
fathom_feature(MPI "MPI" "${MPI_CXX_FOUND}" "libopenmpi-dev openmpi-bin")
