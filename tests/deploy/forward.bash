# shellcheck shell=bash
# An image that looks like that of Fluent Bit from outside: the program where the overlay starts it, and no shell. Inside is forward.py.

# Prints the files of Python that forward.py needs, those that it loads late included.
forward_modules() {
  "$TOOLS/venv/bin/python" -B - "$ROOT/tests/deploy" <<'PY'
import sys

sys.path.insert(0, sys.argv[1])
import forward

forward.argparse.ArgumentParser()
forward.datetime.strptime("2026", "%Y")
import encodings.idna

files = {getattr(module, "__file__", None) for name, module in sys.modules.items() if name not in ("__main__", "forward")}
print(*sorted(filter(None, files)), sep="\n")
PY
}

# Makes the image as an OCI layout.
image_of_forward() { # layout
  local folder=$1.folder python file site
  python=$("$TOOLS/venv/bin/python" -c 'import os, sys; print(os.path.realpath(sys._base_executable))')
  site=$("$TOOLS/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  mkdir -p "$folder/fluent-bit/bin" "$folder/fluent-bit/etc"
  { printf '#!%s -B\n' "$python" && cat "$ROOT/tests/deploy/forward.py"; } >"$folder/fluent-bit/bin/fluent-bit"
  chmod 0755 "$folder/fluent-bit/bin/fluent-bit"
  install -D -m 0755 "$python" "$folder$python"
  forward_modules >"$folder.modules"
  while IFS= read -r file; do
    case $file in
      "$site"/*) install -D -m 0644 "$file" "$folder/fluent-bit/bin/${file#"$site"/}" ;;
      *) install -D -m 0644 "$file" "$folder$file" ;;
    esac
  done <"$folder.modules"
  { echo "$python" && grep '\.so$' "$folder.modules"; } | xargs ldd 2>/dev/null | image_libraries "$folder"
  rm "$folder.modules"
  image_of_folder "$1" "$folder" '{"Entrypoint": ["/fluent-bit/bin/fluent-bit"]}'
}

# Makes it, puts it into the stage's registry, signed, and prints its reference.
publish_forward() { # folder
  local digest reference
  image_of_forward "$1"
  digest=$(jq -r '.manifests[0].digest' "$1/index.json")
  reference=$PLAIN/import/fluent-bit@$digest
  oras cp --from-oci-layout "$1@$digest" "$reference" >&2
  image_sign "$reference" "$STAGE/import.key" import >&2
  echo "$reference"
}
