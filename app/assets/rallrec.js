// The address bar is the page's state: any view can be sent to somebody and opens the same.
window.rallrec = {
  link(names, values, push) {
    const query = new URLSearchParams();
    names.forEach((name, i) => {
      let value = values[i];
      if (value === null || value === undefined || value === "") return;
      if (name === "epsilon") value = Number(Math.pow(10, value).toPrecision(9));
      query.set(name, value);
    });
    const url = location.pathname + "?" + query.toString();
    if (push) history.pushState(null, "", url);
    else history.replaceState(null, "", url);
  },
};
// Going back is opening that address.
window.addEventListener("popstate", () => location.reload());
