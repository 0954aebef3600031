// Live updates, copy buttons and keyboard shortcuts. The pages work without this script.

document.documentElement.classList.add("js");

const live = Number(document.body.dataset.live || 0);
const note = document.querySelector(".live-note");
let asOf = document.body.dataset.asOf;

// busy reports whether an update would disturb the reader: text or jobs are selected, or a field
// is being edited.
function busy() {
	return String(getSelection()) !== ""
		|| document.querySelector("main input:checked[name=id]") !== null
		|| document.activeElement.matches("[data-live-region] :is(input:not([type=checkbox]), select, textarea)");
}

// showStatus shows the state of the live updates. The text "" means that the page is up to date.
function showStatus(text) {
	if (note.textContent !== text) { note.textContent = text; }
	note.hidden = text === "";
}

// signature returns a text that identifies a focusable element of the page, so that the same
// element can be found after an update.
function signature(element) {
	return [element.tagName, element.getAttribute("href"), element.name, element.value, element.matches("summary") && element.textContent].join(" ");
}

// refresh loads the current page again and replaces the live regions with the new ones. If the
// request fails, the page stays and shows when it was last updated. The next refresh tries again.
async function refresh() {
	if (document.hidden) { return; }
	if (busy()) { return showStatus(note.dataset.paused); }
	let next;
	try {
		const answer = await fetch(location.href, { credentials: "same-origin", headers: { "X-Live": "1" } });
		next = new DOMParser().parseFromString(await answer.text(), "text/html");
		// The response may be a sign-in page.
		if (!answer.ok || !next.body.dataset.asOf) { throw new Error(String(answer.status)); }
	} catch {
		return showStatus(`${note.dataset.lost} ${asOf}`);
	}
	if (busy()) { return showStatus(note.dataset.paused); }
	const focused = signature(document.activeElement);
	for (const region of document.querySelectorAll("[data-live-region]")) {
		const fresh = next.querySelector(`[data-live-region="${region.dataset.liveRegion}"]`);
		if (!fresh) { continue; }
		const open = new Set([...region.querySelectorAll("details[open] > summary")].map((s) => s.textContent));
		for (const details of fresh.querySelectorAll("details")) {
			if (open.has(details.querySelector("summary").textContent)) { details.open = true; }
		}
		const inside = region.contains(document.activeElement);
		region.replaceChildren(...fresh.childNodes);
		if (inside) { [...region.querySelectorAll("a, button, input, summary")].find((e) => signature(e) === focused)?.focus({ preventScroll: true }); }
	}
	asOf = next.body.dataset.asOf;
	showStatus("");
	addCopyButtons();
}

if (live > 0) { setInterval(refresh, live * 1000); }

// addCopyButtons adds a button to each document that can be copied.
function addCopyButtons() {
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

addCopyButtons();

// Selection: the checkbox in the table's head selects the whole page, and Shift selects a range.
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

// Keyboard shortcuts: / focuses the search box, j and k move through a list, x selects a job,
// r refreshes, g and a letter open a section. They are ignored while a field is edited, and can be
// disabled in the preferences.
let leader = 0;
const press = {
	"/": () => (document.getElementById("q") || document.getElementById("search"))?.focus(),
	"g": () => { leader = Date.now(); },
	"j": () => move(1),
	"k": () => move(-1),
	"x": () => document.activeElement.closest("tr")?.querySelector("input[name=id]")?.click(),
	"r": () => refresh(),
};

// move focuses the first link of another row: down by the given number of rows, or up if it is
// negative.
function move(by) {
	const rows = [...document.querySelectorAll("main tbody tr")].filter((row) => row.querySelector("a"));
	const at = rows.indexOf(document.activeElement.closest("tr"));
	rows[at < 0 && by < 0 ? rows.length - 1 : Math.min(Math.max(at + by, 0), rows.length - 1)]?.querySelector("a").focus();
}

addEventListener("keydown", (event) => {
	if (document.body.dataset.keys === "off" || event.ctrlKey || event.metaKey || event.altKey) { return; }
	if (event.target.closest("input:not([type=checkbox]), select, textarea, [contenteditable]")) { return; }
	if (Date.now() - leader < 1500) {
		leader = 0;
		const section = ["j", "h", "s", "b", "a"].indexOf(event.key);
		if (section >= 0) { location.assign(document.querySelectorAll("header nav a")[section].href); }
	} else if (press[event.key]) {
		event.preventDefault();
		press[event.key]();
	}
});
