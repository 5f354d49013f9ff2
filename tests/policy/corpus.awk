# What corpus.bash asks of tables: variables `engine` and `limits` (a file) are given; a program follows that reads the tables.

BEGIN {
  while ((getline line <limits) > 0) {
    split(line, part, "\t")
    if (part[1] == engine) effects[part[2]] = part[3]
  }
  close(limits)
}

# What a file is, by its name.
function kind(file) {
  if (file ~ /\.compose\.yaml$/) return "compose"
  if (file ~ /\.Containerfile$/) return "containerfile"
  if (file ~ /\.config\.json$/) return "image"
  return "kubernetes"
}

# Whether the engine reads such files.
function takes(file) {
  return engine == "conftest" || kind(file) == "kubernetes" || (engine == "admit" && kind(file) == "compose")
}

# What excuses the engine from a case: skip, reject, accept, or nothing.
function effect(excuses,    count, i, list, part) {
  count = split(excuses, list, ",")
  for (i = 1; i <= count; i++) {
    split(list[i], part, ":")
    if (part[1] == engine) return (part[2] in effects) ? effects[part[2]] : "unknown"
  }
  return ""
}

# The rule that a message ends with, with its remedy to the letter; nothing where it ends otherwise.
function ruled(message,    rule, end) {
  for (rule in remedy) {
    end = ": " rule ": " remedy[rule]
    if (length(message) > length(end) && substr(message, length(message) - length(end) + 1) == end) return rule
  }
  return ""
}

# What a message of a file begins with.
function begins(file) {
  if (kind(file) == "compose") return "^Service/[^ ]+, container [^ ]+ \\(.*\\)$"
  if (kind(file) == "containerfile") return "^Containerfile, line [1-9][0-9]*( \\(.*\\))?$"
  if (kind(file) == "image") return "^Image, config$"
  return "^(Pod|PodTemplate|ReplicationController|Deployment|ReplicaSet|StatefulSet|DaemonSet|Job|CronJob)/([^ ]+), " \
    "(pod|volume [^ ]+( \\(.*\\))?|((init |ephemeral )?container [^ ]+ \\(.*\\)))$"
}

# A list with commas in order, "-" for an empty one.
function sorted(text,    count, i, j, list, held) {
  sub(/,$/, "", text)
  if (text == "") return "-"
  count = split(text, list, ",")
  for (i = 2; i <= count; i++) {
    held = list[i]
    for (j = i - 1; j > 0 && list[j] > held; j--) list[j + 1] = list[j]
    list[j + 1] = held
  }
  text = list[1]
  for (i = 2; i <= count; i++) text = text "," list[i]
  return text
}
