package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Each block of benchmarks.md that this command writes is between two lines, for example
// <!-- bench:jobs --> and <!-- /bench -->.
const (
	blockBegin = "<!-- bench:"
	blockEnd   = "<!-- /bench -->"
)

// publish replaces the report's section of benchmarks.json in a folder, and its blocks of
// benchmarks.md. It keeps everything else. Without an error it has written both files.
func (r *report) publish(folder string) error {
	documentName, figuresName := filepath.Join(folder, "benchmarks.md"), filepath.Join(folder, "benchmarks.json")
	document, err := os.ReadFile(documentName)
	if err != nil {
		return err
	}
	old, err := os.ReadFile(figuresName)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text, err := r.replaceBlocks(string(document))
	if err != nil {
		return fmt.Errorf("write %s: %w", documentName, err)
	}
	figures, err := r.replaceSection(old)
	if err != nil {
		return fmt.Errorf("write %s: %w", figuresName, err)
	}
	if err := os.WriteFile(figuresName, figures, 0o644); err != nil {
		return err
	}
	return os.WriteFile(documentName, []byte(text), 0o644)
}

// replaceBlocks writes each table into its block. The first block also says how the figures were
// measured.
func (r *report) replaceBlocks(document string) (string, error) {
	for i, t := range r.tables {
		content := t.markdown()
		if i == 0 {
			content = r.sentence() + "\n\n" + content
		}
		begin := blockBegin + t.name + " -->"
		before, rest, ok := strings.Cut(document, begin)
		old, after, closed := strings.Cut(rest, blockEnd)
		if !ok || !closed || strings.Contains(old, blockBegin) {
			return "", fmt.Errorf("the lines %s and %s are missing; add them where the table belongs", begin, blockEnd)
		}
		document = before + begin + "\n\n" + content + "\n" + blockEnd + after
	}
	return document, nil
}

// replaceSection returns benchmarks.json with the report's section replaced.
func (r *report) replaceSection(old []byte) ([]byte, error) {
	sections := map[string]json.RawMessage{} // keeps the order of the other sections' fields
	if len(old) > 0 {
		if err := json.Unmarshal(old, &sections); err != nil {
			return nil, err
		}
	}
	section, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	sections[r.section] = section
	text, err := json.MarshalIndent(sections, "", "  ")
	if err != nil {
		return nil, err
	}
	// Put the rounds of a figure on one line.
	numbers := regexp.MustCompile(`\[[-+.eE\d\s,]*\]`)
	spaces := regexp.MustCompile(`\s+`)
	text = numbers.ReplaceAllFunc(text, func(list []byte) []byte {
		return []byte(strings.ReplaceAll(spaces.ReplaceAllString(string(list), ""), ",", ", "))
	})
	return append(text, '\n'), nil
}
