"""Makes the fonts here from Inter 4.0 (Debian's fonts-inter), with fonttools 4.60.1.

Digits get the width of the tabular figures, so that times do not tremble as they
count, and only the Latin letters, signs and arrows that the window shows are kept:

    for w in Regular SemiBold; do
      python tabular.py Inter-$w.otf /tmp/$w.otf
      pyftsubset /tmp/$w.otf --output-file=Inter-$w.otf --layout-features=kern,mark,mkmk,ccmp,locl,calt \
        --unicodes=U+20-7E,U+A0-17F,U+2010-2027,U+2030-203A,U+2070-209C,U+20AC,U+2122,U+2190-22FF,U+2303,U+2318,U+2325,U+25A0-25FF,U+2713,U+2715
    done
"""

import sys

from fontTools.ttLib import TTFont

font = TTFont(sys.argv[1])
gsub = font["GSUB"].table
lookups = {
    i
    for record in gsub.FeatureList.FeatureRecord
    if record.FeatureTag == "tnum"
    for i in record.Feature.LookupListIndex
}
tabular = {}
for i in lookups:
    for table in gsub.LookupList.Lookup[i].SubTable:
        table = getattr(table, "ExtSubTable", table)
        tabular.update(getattr(table, "mapping", {}))
for table in font["cmap"].tables:
    for char, glyph in table.cmap.items():
        if char < 0x7F:
            table.cmap[char] = tabular.get(glyph, glyph)
font.save(sys.argv[2])
