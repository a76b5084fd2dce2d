# Counts lines of code without tests, comments, empty lines, and items that are only compiled with a feature.
function indent(line) { match(line, /^ */); return RLENGTH }
FNR == 1 { skipping = over = 0 }
/^#\[cfg\(test\)\]/ { over = 1 }
over { next }
/^ *(\/\/.*)?$/ { next }
skipping {
    # Attributes and comments before the item belong to it, and so does everything with a deeper indentation.
    if (indent($0) > depth) next
    if (!begun && $0 ~ /^ *#\[/) next
    if (!begun) { begun = 1; if ($0 ~ /[;,]$/ || $0 ~ /\}$/) skipping = 0; next }
    # A closing line.
    if ($0 ~ /^ *[})\]]/) { if ($0 !~ /[{(\[]$/) skipping = 0; next }
    if ($0 ~ /^ *where$/ || $0 ~ /^ *\{$/) next
    skipping = 0
}
/^ *#\[cfg\((any\(|all\()?feature = / { skipping = 1; begun = 0; depth = indent($0); next }
{ lines++ }
END { print lines }
