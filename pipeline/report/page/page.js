"use strict";
const slider = document.getElementById("rejection");
const rows = [...document.querySelectorAll("#rejections tbody tr")];
const show = () => {
  rows.forEach((row, index) => row.classList.toggle("chosen", index === slider.valueAsNumber));
  document.getElementById("rejection-words").textContent = rows[slider.valueAsNumber].dataset.words;
};
slider.addEventListener("input", show);
slider.parentElement.hidden = false;
rows[0].closest("table").classList.add("sliding");
show();
