/* Of a floor_NAME, which is made of libraries: CMake wants a source. */
