package admin

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"net/http"
)

//go:embed style.css
var styleSheet []byte

//go:embed admin.js
var script []byte

//go:embed suggest.js
var suggestScript []byte

//go:embed icon.svg
var favicon []byte

// The asset names contain a hash of the content, so browsers may cache them forever.
var (
	styleName   = assetName("style", styleSheet, "css")
	scriptName  = assetName("admin", script, "js")
	suggestName = assetName("suggest", suggestScript, "js")
	iconName    = assetName("icon", favicon, "svg")
)

func assetName(name string, content []byte, ending string) string {
	sum := sha256.Sum256(content)
	return name + "-" + hex.EncodeToString(sum[:6]) + "." + ending
}

func (h *handler) asset(w http.ResponseWriter, r *http.Request) {
	content, kind := styleSheet, "text/css; charset=utf-8"
	switch r.PathValue("file") {
	case styleName:
	case scriptName:
		content, kind = script, "text/javascript; charset=utf-8"
	case suggestName:
		content, kind = suggestScript, "text/javascript; charset=utf-8"
	case iconName:
		content, kind = favicon, "image/svg+xml"
	default:
		h.newRequest(w, r).fail(errNotFound)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(content)
}
