// Command messages lists the texts of the operators' pages in admin/messages.txt, and keeps the translations in
// admin/internal/language/messages_*.txt in step: it drops entries for texts that no page shows, and adds an entry
// without a translation for each new text. It prints the texts that have no translation.
//
//	cd tools && go run ./messages -root ..          # write
//	cd tools && go run ./messages -root .. -check   # compare, and fail for a missing translation
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	root := flag.String("root", ".", "the root of the repository")
	check := flag.Bool("check", false, "compare with the files instead of writing them")
	flag.Parse()
	if err := run(*root, *check); err != nil {
		fmt.Fprintln(os.Stderr, "messages:", err)
		os.Exit(1)
	}
}

func run(root string, check bool) error {
	admin := filepath.Join(root, "admin")
	texts, err := find(admin)
	if err != nil {
		return err
	}
	if err := write(filepath.Join(admin, "messages.txt"), strings.Join(texts, "\n")+"\n", check); err != nil {
		return err
	}
	catalogues, err := filepath.Glob(filepath.Join(admin, "internal", "language", "messages_*.txt"))
	if err != nil {
		return err
	}
	missing := 0
	for _, path := range catalogues {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		c := parse(string(data))
		for _, text := range texts {
			if c.translations[text] == "" {
				missing++
				fmt.Printf("%s: no translation of %q\n", path, text)
			}
		}
		if err := write(path, c.format(texts), check); err != nil {
			return err
		}
	}
	if check && missing > 0 {
		return fmt.Errorf("%d translations are missing; write each below its English text", missing)
	}
	return nil
}

// write writes a file, or compares it if check is set.
func write(path, text string, check bool) error {
	if !check {
		return os.WriteFile(path, []byte(text), 0o644)
	}
	written, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if string(written) != text {
		return fmt.Errorf("%s does not match the texts of the pages; run “make generate” and review the diff", path)
	}
	return nil
}
