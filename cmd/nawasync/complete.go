package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
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
	var list []string
	if found, _ := find(words); found != nil {
		c := &call{command: found.name, arguments: []string{"-help"}, flags: flag.NewFlagSet(found.name, flag.ContinueOnError), stdout: io.Discard, stderr: io.Discard}
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
	for _, word := range slices.Compact(list) {
		fmt.Fprintln(w, word)
	}
}
