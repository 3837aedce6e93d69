/* Whether an image was changed: instructions and form. Loaded when the turn of the task has come. */
(function (app) {
  "use strict";

  const CHANGED = ["Certainly not changed", "Probably not", "Undecided", "Probably changed", "Certainly changed"];

  app.questions.TASKS.manipulation = {
    title: "Was this image changed?",
    text: [
      "You will see one image at a time. Some of these images were changed by a computer program, others were not.",
      "Say how sure you are that the image in front of you was changed.",
    ],
    keys: [["1 to 5", "choose how sure you are"]],
    parts: () => [{
      name: "rating", legend: "Was this image changed by a computer program?", values: [1, 2, 3, 4, 5], texts: CHANGED,
      keys: "digit",
    }],
  };
})((window.readerStudy = window.readerStudy || {}));
