/* The copy button of a terminal session copies the commands, without the prompt and the output. */

const PROMPTS_AND_OUTPUT = ".gp, .go";

/** Returns the commands in a block of code that shows a terminal. */
function commandsIn(code) {
  const copy = code.cloneNode(true);
  for (const other of copy.querySelectorAll(PROMPTS_AND_OUTPUT)) other.remove();
  const lines = copy.textContent.split("\n");
  return lines.filter((line) => line.trim() !== "").join("\n");
}

for (const prompt of document.querySelectorAll("pre .gp")) {
  const code = prompt.closest("code");
  code.dataset.copy ??= commandsIn(code); // where the theme looks for what is to be copied
}
