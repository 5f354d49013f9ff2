package lib.containerfile_test

import data.lib.containerfile

settings := {"registries": ["registry.intra"]}

base := "registry.intra/mini/base@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

# An instruction as conftest's parser gives it.
say(name, values) := {"Cmd": name, "Value": values, "Flags": []}

flagged(name, flags, values) := {"Cmd": name, "Value": values, "Flags": flags}

end := [say("user", ["1000"]), say("healthcheck", ["CMD", "true"])]

rules(commands) := {fault.rule | some fault in containerfile.faults(commands, settings)}

ended(commands) := rules(array.concat(commands, end))

test_a_sound_file_breaks_nothing if ended([say("from", [base])]) == set()

test_a_file_without_stages_is_refused if "input" in rules([say("arg", ["A=1"])])

test_every_image_is_judged if {
	ended([say("from", ["nginx"]), say("from", [base])]) == {"image-pinned", "image-registry"}
	ended([say("from", [base]), flagged("copy", ["--from=nginx"], ["a", "b"])]) == {"image-pinned", "image-registry"}
	ended([say("from", [base]), flagged("run", ["--mount=type=bind,from=nginx,target=/a"], ["x"])]) == {"image-pinned", "image-registry"}
	ended([say("from", [base]), flagged("run", ["--mount=type=cache,target=/a", "--mount=FROM=nginx"], ["x"])]) == {"image-pinned", "image-registry"}
}

test_a_stage_before_is_no_image if {
	ended([say("from", [base, "AS", "Build"]), say("from", ["build"])]) == set()
	ended([say("from", [base, "as", "build"]), say("from", ["scratch"]), flagged("copy", ["--from=build"], ["a", "b"])]) == set()
	ended([say("from", [base]), say("from", ["scratch"]), flagged("copy", ["--from=0"], ["a", "b"])]) == set()
}

test_a_stage_behind_is_an_image if {
	ended([say("from", [base]), flagged("copy", ["--from=later"], ["a", "b"]), say("from", [base, "AS", "later"])]) == {"image-pinned", "image-registry"}
	ended([say("from", [base]), flagged("copy", ["--from=0"], ["a", "b"])]) == {"image-pinned", "image-registry"}
	ended([say("from", [base]), flagged("copy", ["--from=-1"], ["a", "b"])]) == {"image-pinned", "image-registry"}
	ended([say("from", ["0"])]) == {"image-pinned", "image-registry"}
	ended([say("from", ["self", "AS", "self"])]) == {"image-pinned", "image-registry"}
}

test_defaults_before_the_first_stage_are_filled_in if {
	ended([say("arg", [sprintf("BASE=%s", [base])]), say("from", ["${BASE}"])]) == set()
	ended([say("arg", ["HOST=registry.intra"]), say("arg", [sprintf("BASE=$HOST/%s", [substring(base, 15, -1)])]), say("from", ["$BASE"])]) == set()
	ended([say("from", [base]), say("arg", ["X=nginx"]), say("from", ["$X"])]) == {"input"}
	ended([say("arg", ["BASE"]), say("from", ["$BASE"])]) == {"input"}
	ended([say("from", [sprintf("${BASE:-%s}", [base])])]) == set()
	ended([say("arg", ["BASE=nginx"]), say("from", ["${BASE}"])]) == {"image-pinned", "image-registry"}
	ended([say("arg", ["BASE=x"]), say("from", ["${BASE#x}"])]) == {"input"}
}

test_the_last_user_counts if {
	check := say("healthcheck", ["CMD", "true"])
	rules([say("from", [base]), check]) == {"non-root"}
	every user in ["root", "0", "0:0", ":1", "01"] { rules([say("from", [base]), check, say("user", [user])]) == {"non-root"} }
	rules([say("from", [base]), check, say("user", ["0"]), say("user", ["1000:0"])]) == set()
	rules([say("from", [base]), check, say("user", ["1000"]), say("user", ["root"])]) == {"non-root"}
	rules([say("from", [base, "AS", "a"]), say("user", ["5"]), say("from", ["a"]), check]) == set()
	rules([say("from", [base, "AS", "a"]), say("user", ["5"]), say("from", [base]), check]) == {"non-root"}
	rules([say("from", [base, "AS", "a"]), say("from", ["a", "AS", "b"]), say("user", ["5"]), say("from", ["b"]), check]) == set()
}

test_a_user_may_be_a_variable if {
	check := say("healthcheck", ["CMD", "true"])
	rules([say("from", [base]), check, say("arg", ["U=5"]), say("user", ["$U:5"])]) == set()
	rules([say("from", [base]), check, say("arg", ["U=0"]), say("user", ["$U"])]) == {"non-root"}
	rules([say("from", [base]), check, say("arg", ["U"]), say("user", ["$U"])]) == {"input"}
	rules([say("from", [base]), check, say("user", ["$U"])]) == {"input"}
	rules([say("arg", ["U=5"]), say("from", [base]), check, say("user", ["$U"])]) == {"input"}
	rules([say("arg", ["U=5"]), say("from", [base]), check, say("arg", ["U"]), say("user", ["$U"])]) == set()
	rules([say("from", [base]), check, say("env", ["U", "0", "="]), say("arg", ["U=5"]), say("user", ["$U"])]) == {"non-root"}
	rules([say("from", [base, "AS", "a"]), say("env", ["U", "\"5\"", "="]), say("from", ["a"]), check, say("user", ["${U}"])]) == set()
	rules([say("from", [base]), check, say("arg", ["U=5"]), say("user", ["$U"]), say("arg", ["U=0"])]) == set()
	rules([say("from", [base]), say("arg", ["U=5"]), say("from", [base]), check, say("user", ["$U"])]) == {"input"}
	rules([say("from", [base]), check, say("arg", ["U", "X", "B"]), say("user", ["$U"])]) == {"input"}
	rules([say("from", [base]), check, say("env", ["A", "U", "="]), say("user", ["$U"])]) == {"input"}
	rules([say("from", [base]), check, say("arg", ["A=1", "U=2", "B=3"]), say("user", ["${A}${U}"])]) == set()
}

test_the_last_health_check_counts if {
	user := say("user", ["5"])
	rules([say("from", [base]), user]) == {"probes"}
	rules([say("from", [base]), user, say("healthcheck", ["CMD", "x"]), say("healthcheck", ["none"])]) == {"probes"}
	rules([say("from", [base]), user, say("healthcheck", ["NONE"]), say("healthcheck", ["CMD", "x"])]) == set()
	rules([say("from", [base, "AS", "a"]), user, say("healthcheck", ["CMD", "x"]), say("from", ["a"])]) == set()
}

test_what_is_fetched_is_compared if {
	every source in ["http://a/b", "HTTPS://a/b", "ftp://a/b", "git@github.com:a/b.git", "https://a/b.git#v1", "\"https://a\""] {
		ended([say("from", [base]), say("add", ["file", source, "/a"])]) == {"add-url"}
		ended([say("from", [base]), flagged("add", ["--checksum=sha256:5"], [source, "/a"])]) == set()
		ended([say("from", [base]), flagged("add", ["--checksum="], [source, "/a"])]) == {"add-url"}
	}
	ended([say("from", [base]), say("add", ["file", "https://target"])]) == set()
	ended([say("from", [base]), say("arg", ["U=https://a"]), say("add", ["$U/b", "/a"])]) == {"add-url"}
	ended([say("from", [base]), say("arg", ["U"]), say("add", ["$U/b", "/a"])]) == {"input"}
	ended([say("from", [base]), say("arg", ["S=s"]), say("add", ["http$S://a", "/a"])]) == {"add-url"}
	ended([say("from", [base]), say("arg", ["S"]), say("add", ["http$S://a", "/a"])]) == {"input"}
	every source in ["$S", "f$S", "g$S", "http:$S", "HTTPS:$S"] {
		ended([say("from", [base]), say("arg", ["S"]), say("add", [source, "/a"])]) == {"input"}
	}
	ended([say("from", [base]), say("arg", ["V"]), say("add", ["app-$V.tar", "/a"])]) == set()
	ended([say("from", [base]), say("arg", ["V"]), say("add", ["https://a/$V", "/a"])]) == {"add-url"}
	ended([say("from", [base]), say("copy", ["https://a", "/a"])]) == set()
}

test_what_runs_in_other_builds_is_refused if ended([say("from", [base]), say("onbuild", ["root"])]) == {"input"}

test_the_line_is_told_from_the_comment_before if {
	commands := [say("comment", ["judged: line 7"]), say("from", ["scratch"]), say("comment", ["judged: line 9"]), say("user", ["0"]), say("healthcheck", ["NONE"])]
	{fault.text | some fault in containerfile.faults(commands, settings); fault.rule == "non-root"; startswith(fault.text, "Containerfile, line 9: ")} != set()
	{fault.text | some fault in containerfile.faults(commands, settings); startswith(fault.text, "Containerfile, instruction 3: probes: ")} != set()
	some fault in containerfile.faults([say("comment", ["judged: line 3"]), say("from", ["nginx"])], settings)
	startswith(fault.text, "Containerfile, line 3 (nginx): image-pinned: ")
}
