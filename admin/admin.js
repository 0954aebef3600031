// What the pages do better with scripts: refresh in place, copy, keys. All of it works
// without.

document.documentElement.classList.add("js");

const live = Number(document.body.dataset.live || 0);
const note = document.querySelector(".live-note");

// busy is whether a refresh would take something out of the reader's hands.
function busy() {
	const active = document.activeElement;
	return document.hidden
		|| String(getSelection()) !== ""
		|| document.querySelector("main input:checked[name=id]") !== null
		|| (active !== null && active !== document.body && active.closest("[data-live-region] form, [data-live-region] details") !== null);
}

// refresh asks for this very page and takes over its live regions.
async function refresh() {
	if (busy()) {
		if (note && !document.hidden) { note.hidden = false; note.textContent = note.dataset.paused; }
		return;
	}
	if (note) { note.hidden = true; }
	try {
		const answer = await fetch(location.href, { credentials: "same-origin", headers: { "X-Live": "1" } });
		if (!answer.ok) { return; }
		const next = new DOMParser().parseFromString(await answer.text(), "text/html");
		for (const region of document.querySelectorAll("[data-live-region]")) {
			const fresh = next.querySelector(`[data-live-region="${region.dataset.liveRegion}"]`);
			if (!fresh || busy()) { continue; }
			const open = new Set([...region.querySelectorAll("details[open] > summary")].map((s) => s.textContent));
			for (const details of fresh.querySelectorAll("details")) {
				if (open.has(details.querySelector("summary").textContent)) { details.open = true; }
			}
			region.replaceChildren(...fresh.childNodes);
		}
		offerCopies();
	} catch {
		// The server is away: the page stays as it is, and the next try may find it.
	}
}

if (live > 0) { setInterval(refresh, live * 1000); }

// offerCopies puts a button to each document that can be copied.
function offerCopies() {
	if (!navigator.clipboard) { return; }
	for (const pre of document.querySelectorAll("pre[data-copy]")) {
		if (pre.previousElementSibling?.matches("button.copy")) { continue; }
		const button = document.createElement("button");
		button.type = "button";
		button.className = "copy";
		button.textContent = pre.dataset.copy;
		button.addEventListener("click", () => navigator.clipboard.writeText(pre.textContent));
		pre.before(button);
	}
}

offerCopies();

// Selecting: the box in the head takes the whole page, shift takes all between two.
let last = null;
document.addEventListener("change", (event) => {
	if (event.target.matches("input[name=page]")) {
		for (const box of document.querySelectorAll("main input[name=id]")) { box.checked = event.target.checked; }
	}
});
document.addEventListener("click", (event) => {
	if (!event.target.matches("main input[name=id]")) { return; }
	const boxes = [...document.querySelectorAll("main input[name=id]")];
	const [from, to] = [boxes.indexOf(last), boxes.indexOf(event.target)];
	if (event.shiftKey && from >= 0) {
		for (const box of boxes.slice(Math.min(from, to), Math.max(from, to) + 1)) { box.checked = event.target.checked; }
	}
	last = event.target;
});

// Keys: / to search, g and a letter to go. Never while one writes.
let leader = 0;
addEventListener("keydown", (event) => {
	if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, [contenteditable]")) { return; }
	if (event.key === "/") {
		const field = document.getElementById("q") || document.getElementById("jump");
		if (field) { event.preventDefault(); field.focus(); }
	} else if (event.key === "g") {
		leader = Date.now();
	} else if (Date.now() - leader < 1500) {
		const links = [...document.querySelectorAll("header nav a")];
		const link = { j: links[0], h: links[1], s: links[2], b: links[3], a: links[4] }[event.key];
		if (link) { location.assign(link.href); }
	}
});
