file(READ ${IN} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE ${OUT} "static const char ${SYMBOL}[] = {${bytes}0};\nenum { ${SYMBOL}_size = sizeof ${SYMBOL} - 1 };\n")
