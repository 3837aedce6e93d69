"""What to do about a finding, in one sentence, for a report that is read offline; docs/findings.md says more."""

from __future__ import annotations

_STAND_IN = (
    "Mend or leave out the step that cuts the gradient, or name a stand-in for it (percuss.backward_approximation), "
    "and audit again."
)
_STRONGER = "Audit again with more steps and restarts, or percuss audit --effort thorough."

REMEDIES: dict[str, str] = {
    "gradient-missing": _STAND_IN,
    "zero-gradients": _STAND_IN,
    "no-gradient-images": _STAND_IN,
    "saturated-loss": "Percuss's own attacks do not need this gradient; tools that do will call the model robust.",
    "gradient-disagrees": "Look for a step with a gradient of its own, or mixed precision; name a stand-in for it.",
    "noisy-loss": "Remove ripples, rounding or noise before the logits; trust only attacks by questions until then.",
    "nondeterministic-forward": "Switch off dropout or random preprocessing, or audit the average of many passes.",
    "batch-dependent": "Put every normalisation layer into evaluation mode, so that each image is judged by itself.",
    "probabilities-not-logits": "Give the model without its last softmax or sigmoid.",
    "optimises-inside": "Audit the model without the optimisation too; attacks made for it may need its gradient.",
    "curve-not-falling": _STRONGER,
    "unbounded-not-zero": "An attack without limit must win: suspect masked gradients, then raise the steps.",
    "single-step-beats-iterative": "Suspect masked gradients; raise the steps or make the step smaller.",
    "query-beats-gradient": "Gradients are masked: read the curve of the attack by questions; find what hides them.",
    "noise-beats-attack": "Chance does better than the attack: suspect masked gradients or a random model.",
    "not-converged": _STRONGER,
    "more-effort-gains": _STRONGER,
    "curve-floors": "Check that labels and not the model's own predictions are what the attack leads away from.",
    "stored-image-differs": "The files or the model have changed since the run: audit again in another folder.",
    "all-background": "Train the model, or check that masks, order of classes and input range fit it.",
    "curve-on-masks": "Give --suite segsuite for the worst masks within a size.",
    "code-masks-gradient": "Count the lowest of the attacks only: codesuite takes the worst of all.",
    "code-not-masking": "Nothing is wrong: the attack on the code is about as strong here as those through it.",
    "empty-code": "Attack those images by pgd, and look at the threshold of the code.",
    "noted-images": "Look at the first of each, and whether the rule that settled it is what you want.",
    "class-absent": "Add images that hold the class, or say nothing of it.",
    "heat-knows-nothing": "Train the detector, or check that outlines, their groups and the resolution are right.",
    "heat-undefined": "Audit tiles that hold tumour cells and normal ones.",
    "noise-lowers-heat": "The detector is unstable even without an adversary; train it on noisy tiles.",
    "heat-does-not-fall": "Add larger budgets with --budget.",
    "not-exhaustive": "Leave these slides out of what is judged, or complete their outlines.",
    "one-slide": "Audit tiles of several slides.",
    "bad-slides": "Mend the slides that cannot be read, or leave them out.",
    "bad-tiles": "Copy the slide again; the tiles named are missing in its map.",
    "no-tissue": "Look at the slide; give --tissue all, or a smaller --min-tissue.",
    "tumour-outside-tissue": "Give --tissue all, or a smaller --min-tissue.",
    "other-resolution": "Leave out --mpp of percuss heatmap; cut tiles at the resolution of the training.",
    "own-map": "Give --annotations, or --normal for slides without tumour.",
    "overlapping-attacks": "Leave out --overlap where tiles are attacked.",
    "attack-does-not-fit": "Nothing is wrong; pgd and rescaled_fgsm can be made on every model.",
    "check-failed": "Read the error; until the check can be made the doubt stays.",
    "backward-approximation": "Compare with another stand-in: flips are judged on the true model whichever is used.",
}
