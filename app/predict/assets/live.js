// Sends what the controls hold at every move, and puts the panels that come back in their places. One move is on its way
// at a time, then the last of those that were made meanwhile.
const followed = props.names.filter((name) => !["user", "item", "near"].includes(name));
const isControl = (target) => followed.some((name) => document.getElementById(name)?.contains(target));
let moving = false, again = false, lost = false;
const move = async () => {
  again = true;
  if (moving) return;
  moving = true;
  try {
    while (again) {
      again = false;
      const values = Object.fromEntries(props.names.map((name) => [name, rallrec.value(name)]));
      const truth = document.querySelector("#truth input").checked;
      const drawn = await server.move({ page: props.value, values, truth, anew: lost });
      lost = !drawn;
      if (lost) rallrec.panels.status('<p class="error" role="alert">The server does not answer. Move again once it does.</p>');
      for (const [name, html] of Object.entries(drawn ?? {})) rallrec.panels[name]?.(html);
    }
  } finally {
    moving = false;
  }
};
document.addEventListener("input", (event) => {
  // Once Gradio has dealt with it: a number box moves its slider, and a radio's last choice is still checked until then.
  if (isControl(event.target) || event.target.closest("#truth")) setTimeout(move);
});
