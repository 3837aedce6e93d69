/* Whether two images are the same: instructions and form. Loaded when the turn of the task has come. */
(function (app) {
  "use strict";

  app.questions.TASKS.same = {
    title: "The same, or different?",
    text: [
      "You will see two images side by side. They may be exactly the same, or one may have been changed a little by a "
      + "computer program.",
      "Say whether they are the same or different.",
    ],
    keys: [["S or D", "same or different"]],
    parts: () => [{
      name: "same", legend: "Are the two images the same?", values: [true, false], texts: ["Same", "Different"],
      keys: "letter",
    }],
  };
})((window.readerStudy = window.readerStudy || {}));
