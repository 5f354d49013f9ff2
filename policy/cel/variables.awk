# Reads `name =` with the lines of its expression below it, and prints a policy's variables.
/^\/\// || /^$/ { next }
/^[a-z_]+ =$/ { print "    - name: " $1; print "      expression: |-"; next }
{ sub(/^  /, ""); print "        " $0 }
