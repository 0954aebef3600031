package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

const (
	width, height = 1280, 800
	maxBytes      = 120_000 // of a screenshot
	maxColors     = 256     // of a PNG with a palette
	leastDistance = 20      // of a rarer colour from the others, as the sum of the differences of red, green and blue
)

// takeScreenshots saves each page as NAME-light.png and NAME-dark.png.
func takeScreenshots(ctx context.Context, address string, pages map[string]string, directory string) error {
	path, err := chromium()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("hide-scrollbars", true))
	ctx, cancelAllocator := chromedp.NewExecAllocator(ctx, options...)
	defer cancelAllocator()
	ctx, cancel := chromedp.NewContext(ctx)
	defer cancel()
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		for _, theme := range []string{"light", "dark"} {
			picture, err := takeScreenshot(ctx, address+pages[name], theme)
			if err == nil {
				picture, err = compress(picture)
			}
			if err != nil {
				return fmt.Errorf("take a screenshot of %s: %w", pages[name], err)
			}
			file := filepath.Join(directory, name+"-"+theme+".png")
			if err := os.WriteFile(file, picture, 0o644); err != nil { //nolint:gosec // a document
				return err
			}
			fmt.Printf("%s: %d bytes\n", file, len(picture))
		}
	}
	return nil
}

// distance returns how far a colour is from the nearest one of a palette.
func distance(palette color.Palette, c color.RGBA) int {
	near := palette[palette.Index(c)].(color.RGBA) //nolint:errcheck // as compress adds them
	part := func(a, b uint8) int { return max(int(a), int(b)) - min(int(a), int(b)) }
	return part(near.R, c.R) + part(near.G, c.G) + part(near.B, c.B)
}

func chromium() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("find Chromium: it is not installed; run apt-get install chromium")
}

func takeScreenshot(ctx context.Context, url, theme string) ([]byte, error) {
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
		return nil, err
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, height), chromedp.Navigate(url), chromedp.WaitVisible(chromedp.CSS("main"))); err != nil {
		return nil, err
	}
	return chromedp.Run(ctx, chromedp.CaptureScreenshot())
}

// compress encodes a PNG with a palette, which makes it about half as large. The palette has the most frequent colours,
// and rarer ones that differ from them, such as those of a small icon.
func compress(data []byte) ([]byte, error) {
	picture, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	bounds, counts := picture.Bounds(), map[color.RGBA]int{}
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(picture.At(x, y)).(color.RGBA) } //nolint:errcheck // the model's type
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			counts[at(x, y)]++
		}
	}
	frequent := slices.SortedFunc(maps.Keys(counts), func(a, b color.RGBA) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return int(a.R)<<16 + int(a.G)<<8 + int(a.B) - (int(b.R)<<16 + int(b.G)<<8 + int(b.B))
	})
	palette := color.Palette{}
	for _, c := range frequent {
		if len(palette) < maxColors && (len(palette) < maxColors/4 || distance(palette, c) > leastDistance) {
			palette = append(palette, c)
		}
	}
	indexes := map[color.RGBA]uint8{}
	for c := range counts {
		indexes[c] = uint8(palette.Index(c)) //nolint:gosec // at most 256 colours
	}
	reduced := image.NewPaletted(bounds, palette)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			reduced.SetColorIndex(x, y, indexes[at(x, y)])
		}
	}
	var out bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&out, reduced); err != nil {
		return nil, err
	}
	if out.Len() > maxBytes {
		return nil, fmt.Errorf("the picture has %d bytes; the maximum is %d", out.Len(), maxBytes)
	}
	return out.Bytes(), nil
}
