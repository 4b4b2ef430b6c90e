add_custom_target(embed) # all embedded files, for tools that read sources without building

# rtcache_embed(target file symbol): the text of a file as `static const char symbol[]`, NUL-terminated, and the constant symbol_size,
# in a header named <symbol>.h that the target can include.
function(rtcache_embed target file symbol)
  set(out ${CMAKE_BINARY_DIR}/embed/${symbol}.h)
  add_custom_command(
    OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DIN=${CMAKE_SOURCE_DIR}/${file} -DOUT=${out} -DSYMBOL=${symbol}
            -P ${CMAKE_SOURCE_DIR}/cmake/embed_file.cmake
    DEPENDS ${CMAKE_SOURCE_DIR}/${file} ${CMAKE_SOURCE_DIR}/cmake/embed_file.cmake)
  target_sources(${target} PRIVATE ${out})
  add_custom_target(${symbol} DEPENDS ${out})
  add_dependencies(embed ${symbol})
  target_include_directories(${target} PRIVATE ${CMAKE_BINARY_DIR}/embed)
endfunction()

# The Lua half of the runtime lives in lua/rtcache/ and travels inside the server.
if(TARGET rt_script)
  get_target_property(kind rt_script TYPE)
  if(NOT kind STREQUAL "INTERFACE_LIBRARY")
    file(GLOB preludes CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR} core/script/*.lua)
    foreach(prelude ${preludes})
      get_filename_component(stem ${prelude} NAME_WE)
      rtcache_embed(rt_script ${prelude} embed_${stem})
    endforeach()
  endif()
endif()

# The SQL that `rtcache watch-sql` prints.
if(TARGET rt_cli)
  foreach(sql watch watch_drop watch_list)
    rtcache_embed(rt_cli core/cli/${sql}.sql embed_${sql})
  endforeach()
endif()

# The question to a database's catalog, which is easier to read as SQL.
rtcache_embed(rt_backend core/backend/postgres/pg_pure.sql embed_pg_pure)
