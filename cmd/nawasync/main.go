// Command nawasync writes the module of a new service, and operates the jobs of a database: migrations, jobs, syncs and
// pauses.
//
//	nawasync new service inventory
//	nawasync jobs list -dsn postgres://… -status failed
//
// docs/command.md describes its commands, exit codes and JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/migrations"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second interrupt ends a command that does not look at the first
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// The exit codes.
const (
	exitFailed    = 1 // the database or another server did not do it
	exitUsage     = 2 // the arguments are wrong
	exitNotFound  = 3 // there is no such job, sync or pause
	exitRefused   = 4 // the state of the job does not allow it
	exitOldSchema = 5 // migrations are missing
)

// usageError is a mistake in the arguments.
type usageError string

func (e usageError) Error() string { return string(e) }

func usagef(text string, values ...any) error { return usageError(fmt.Sprintf(text, values...)) }

// errNotFound says that there is nothing of the given name.
var errNotFound = errors.New("not found")

// exitOf returns the exit code of an error.
func exitOf(err error) int {
	_, usage := errors.AsType[usageError](err)
	is := func(list ...error) bool {
		return slices.ContainsFunc(list, func(target error) bool { return errors.Is(err, target) })
	}
	switch {
	case err == nil:
		return 0
	case usage, is(nawasync.ErrInvalid):
		return exitUsage
	case is(errNotFound, nawasync.ErrNotFound):
		return exitNotFound
	case is(migrations.ErrOldSchema):
		return exitOldSchema
	case is(nawasync.ErrNotEnded, nawasync.ErrEnded, nawasync.ErrNoArguments, nawasync.ErrSuperseded, nawasync.ErrRowGone, nawasync.ErrDeleting,
		errors.ErrUnsupported):
		return exitRefused
	}
	return exitFailed
}

// command is one command: its name has one or two words.
type command struct {
	name, arguments, help string
	run                   func(ctx context.Context, c *call) error
}

// commands returns all commands.
func commands() []command {
	return []command{
		{"new", "service NAME", "write the module of a new service", runNew},
		{"migrate up", "", "apply the missing migrations", runMigrate},
		{"migrate down", "", "drop all tables of nawasync with their data; needs -yes", runMigrate},
		{"migrate status", "", "show the version of the schema", runMigrate},
		{"jobs list", "", "list jobs, the newest first", runList},
		{"jobs show", "ID", "show a job and its attempts", runShow},
		{"jobs retry", "ID…", "dispatch ended jobs again", runRetry},
		{"jobs cancel", "ID…", "cancel open jobs", runCancel},
		{"sync now", "SERVICE/TYPE", "dispatch a sync as one was dispatched before", runSync},
		{"sync plan", "SERVICE/TYPE", "dispatch a job that finds out what a sync would do", runSync},
		{"pause", "SERVICE[/INSTANCE]", "pause the jobs of a service or an instance", runPause},
		{"resume", "SERVICE[/INSTANCE]", "end a pause", runResume},
		{"completion", "bash|zsh|fish", "print a script that completes the commands in a shell", runCompletion},
	}
}

// call is one call of a command.
type call struct {
	command        string
	arguments      []string
	flags          *flag.FlagSet
	getenv         func(string) string
	stdout, stderr io.Writer
	json           bool
}

// run runs the command line and returns the exit code.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	if len(args) == 0 || isHelp(args[0]) {
		if len(args) > 1 && !isHelp(args[1]) { // nawasync help jobs list
			return run(ctx, append(slices.Clone(args[1:]), "-help"), getenv, stdout, stderr)
		}
		printUsage(stdout, "")
		return 0
	}
	if args[0] == "__complete" {
		complete(ctx, args[1:], stdout)
		return 0
	}
	asJSON := slices.Contains(args, "-json") || slices.Contains(args, "--json")
	found, rest := find(args)
	if found == nil {
		return noCommand(args, &call{stdout: stdout, stderr: stderr, json: asJSON})
	}
	c := &call{command: found.name, arguments: rest, flags: flag.NewFlagSet(found.name, flag.ContinueOnError), getenv: getenv, stdout: stdout, stderr: stderr}
	c.flags.SetOutput(io.Discard)
	c.flags.BoolVar(&c.json, "json", false, "whether to print JSON")
	err := found.run(ctx, c)
	c.json = c.json || asJSON // it may stand behind a flag that is wrong
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(stdout, "usage: nawasync %s [flags]: %s\n\n", strings.TrimSpace(found.name+" "+found.arguments), found.help)
		c.flags.SetOutput(stdout)
		c.flags.PrintDefaults()
		return 0
	}
	if errors.Is(err, migrations.ErrOldSchema) {
		err = fmt.Errorf("run nawasync migrate up, if the program that uses the database does not do that itself: %w", err)
	}
	if err != nil {
		c.report(err)
	}
	return exitOf(err)
}

func isHelp(word string) bool {
	return slices.Contains([]string{"help", "-h", "-help", "--help"}, word)
}

// noCommand answers arguments that name no command, or only the first word of several, and returns the exit code.
func noCommand(args []string, c *call) int {
	var second []string // the words that can follow the first
	for _, known := range commands() {
		if words := strings.Fields(known.name); len(words) > 1 && words[0] == args[0] {
			second = append(second, words[1])
		}
	}
	if len(second) > 0 && len(args) > 1 && isHelp(args[1]) {
		printUsage(c.stdout, args[0])
		return 0
	}
	err := usagef("unknown command %.60q; nawasync help lists the commands", strings.Join(args[:min(2, len(args))], " "))
	switch name, _, _ := strings.Cut(args[0], "="); {
	case len(second) > 0:
		err = usagef("%s needs one of these words behind it: %s; nawasync %[1]s -help describes them", args[0], strings.Join(second, ", "))
	case strings.HasPrefix(name, "-"):
		err = usagef("%.60q stands before the command; write flags behind it: nawasync jobs list -json", name)
	case slices.ContainsFunc(args, isAddress):
		err = errAddress
	}
	c.report(err)
	return exitOf(err)
}

// isAddress reports whether an argument is an address, which may have a password, and errAddress is an error that does not
// show it.
func isAddress(argument string) bool { return strings.Contains(argument, "://") }

var errAddress = usagef("an address stands among the arguments; write -dsn before that of the database")

// find returns the command of the arguments, and what follows it.
func find(args []string) (*command, []string) {
	for _, known := range commands() {
		words := strings.Fields(known.name)
		if len(args) >= len(words) && slices.Equal(args[:len(words)], words) {
			return &known, args[len(words):]
		}
	}
	return nil, nil
}

// printUsage prints the commands, or those that begin with a word.
func printUsage(w io.Writer, first string) {
	fmt.Fprintln(w, "usage: nawasync COMMAND [flags] [arguments]; nawasync COMMAND -help lists the flags")
	fmt.Fprintln(w)
	for _, known := range commands() {
		if first != "" && !strings.HasPrefix(known.name, first+" ") {
			continue
		}
		fmt.Fprintf(w, "  %-34s %s\n", known.name+" "+known.arguments, known.help)
	}
	fmt.Fprintln(w, `
The database is -dsn, or the variable NAWASYNC_DSN: sqlite:FILE, postgres://user:password@host:port/name or mysql://user:password@host:port/name.
Exit codes: 0 done, 1 the database did not do it, 2 wrong arguments, 3 not found, 4 the state of a job does not allow it, 5 migrations are missing.`)
}

// parse reads the flags, which may stand before and after the arguments, and returns from least to most arguments.
func (c *call) parse(least, most int) (arguments []string, err error) {
	for rest := c.arguments; len(rest) > 0; {
		if err := c.flags.Parse(rest); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, usagef("%s: %v; nawasync %s -help lists the flags", c.command, err, c.command)
		}
		if rest = c.flags.Args(); len(rest) > 0 {
			arguments, rest = append(arguments, rest[0]), rest[1:]
		}
	}
	switch n := len(arguments); {
	case slices.ContainsFunc(arguments, isAddress):
		return nil, errAddress
	case n < least:
		return nil, usagef("%s: an argument is missing; nawasync %s -help shows what it takes", c.command, c.command)
	case n > most:
		return nil, usagef("%s: there are %d arguments too many", c.command, n-most)
	}
	return arguments, nil
}

// print prints a value as JSON, or as people read it.
func (c *call) print(value any, people func(w io.Writer)) error {
	if !c.json {
		people(c.stdout)
		return nil
	}
	encoder := json.NewEncoder(c.stdout)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// report prints an error: with -json as JSON.
func (c *call) report(err error) {
	if c.json {
		_ = json.NewEncoder(c.stderr).Encode(map[string]any{"error": err.Error(), "exit": exitOf(err)})
		return
	}
	fmt.Fprintln(c.stderr, "nawasync:", err)
}
