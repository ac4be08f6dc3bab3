# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` puts where, and the package that find_package(nixl_connect) reads.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS nixl_connect EXPORT nixl_connect)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ TYPE INCLUDE FILES_MATCHING PATTERN "*.h")
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE TYPE DOC)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/nixl_connect)
install(EXPORT nixl_connect NAMESPACE nixl_connect:: DESTINATION ${package}
        FILE nixl_connect-targets.cmake)
configure_package_config_file(
  ${CMAKE_CURRENT_LIST_DIR}/nixl_connect-config.cmake.in nixl_connect-config.cmake
  INSTALL_DESTINATION ${package} NO_SET_AND_CHECK_MACRO)
# Before 1.0 a new minor version may change the API.
write_basic_package_version_file(nixl_connect-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/nixl_connect-config.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/nixl_connect-config-version.cmake
        DESTINATION ${package})
