package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/nawasara/nawasync/tracker"
)

// runCompletion is nawasync completion SHELL. The scripts ask the hidden command __complete, so that they never differ from
// the commands.
func runCompletion(_ context.Context, c *call) error {
	names, err := c.parse(1, 1)
	if err != nil {
		return err
	}
	script := map[string]string{
		"bash": `_nawasync() {
  local IFS=$'\n'
  COMPREPLY=($(compgen -W "$(nawasync __complete "${COMP_WORDS[@]:1:COMP_CWORD-1}" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _nawasync nawasync
`,
		"zsh": `#compdef nawasync
_nawasync() { compadd -- ${(f)"$(nawasync __complete "${(@)words[2,CURRENT-1]}" 2>/dev/null)"} }
compdef _nawasync nawasync
`,
		"fish": `complete -c nawasync -f -a '(nawasync __complete (commandline -opc)[2..] 2>/dev/null)'
`,
	}[names[0]]
	if script == "" {
		return usagef("completion %.20q: use bash, zsh or fish", names[0])
	}
	return c.print(map[string]string{"shell": names[0], "script": script}, func(w io.Writer) { fmt.Fprint(w, script) })
}

// complete prints what can follow words: the next words of commands, or the flags of one.
func complete(ctx context.Context, words []string, w io.Writer) {
	words = slices.DeleteFunc(words, func(word string) bool { return word == "" }) // zsh passes one if nothing was typed
	if len(words) > 0 {
		if values := valuesOf(words[len(words)-1]); values != nil {
			printWords(w, values)
			return
		}
	}
	var list []string
	if found, _ := find(words); found != nil {
		c := &call{
			command: found.name, arguments: []string{"-help"}, flags: flag.NewFlagSet(found.name, flag.ContinueOnError),
			getenv: func(string) string { return "" }, stdout: io.Discard, stderr: io.Discard,
		}
		c.flags.SetOutput(io.Discard)
		c.flags.BoolVar(&c.json, "json", false, "")
		_ = found.run(ctx, c) // adds its flags, and ends at -help
		c.flags.VisitAll(func(f *flag.Flag) { list = append(list, "-"+f.Name) })
		switch found.name {
		case "new":
			list = append(list, "service")
		case "completion":
			list = append(list, "bash", "zsh", "fish")
		}
	} else {
		for _, known := range commands() {
			parts := strings.Fields(known.name)
			if len(words) < len(parts) && slices.Equal(parts[:len(words)], words) {
				list = append(list, parts[len(words)])
			}
		}
	}
	printWords(w, slices.Compact(list))
}

func printWords(w io.Writer, list []string) {
	for _, word := range list {
		fmt.Fprintln(w, word)
	}
}

// valuesOf returns the values of a flag that has a few, or nil.
func valuesOf(word string) (list []string) {
	if strings.TrimLeft(word, "-") == "status" && strings.HasPrefix(word, "-") {
		for _, status := range tracker.Statuses() {
			list = append(list, string(status))
		}
	}
	return list
}
