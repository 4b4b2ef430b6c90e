# What the project links against; each name is in the README's table with its reason.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(LUAJIT REQUIRED IMPORTED_TARGET luajit)
pkg_check_modules(MSGPACK REQUIRED IMPORTED_TARGET msgpack)
pkg_check_modules(LIBPQ REQUIRED IMPORTED_TARGET libpq)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(LIBCONFIG REQUIRED IMPORTED_TARGET libconfig)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET libssl libcrypto)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(JEMALLOC REQUIRED IMPORTED_TARGET jemalloc)

# libpg_query ships no pkg-config file.
find_path(PGQUERY_INCLUDE pg_query.h REQUIRED)
find_library(PGQUERY_LIBRARY pg_query REQUIRED)
add_library(PgQuery INTERFACE IMPORTED)
target_include_directories(PgQuery INTERFACE ${PGQUERY_INCLUDE})
target_link_libraries(PgQuery INTERFACE ${PGQUERY_LIBRARY})

# xxHash is used from its header alone.
find_path(XXHASH_INCLUDE xxhash.h REQUIRED)

# libev ships no pkg-config file in Debian.
find_path(LIBEV_INCLUDE ev.h REQUIRED)
find_library(LIBEV_LIBRARY ev REQUIRED)
add_library(LibEv INTERFACE IMPORTED)
target_include_directories(LibEv INTERFACE ${LIBEV_INCLUDE})
target_link_libraries(LibEv INTERFACE ${LIBEV_LIBRARY})
# libev's watcher macros break strict aliasing by design (its manual, "COMPILER WARNINGS").
target_compile_options(LibEv INTERFACE -fno-strict-aliasing)
