"""What the page of a 2AFC benchmark says in sentences."""

ALARMED = (
    "A judgement that was certified was turned inside its radius. Until that is explained, rely on nothing on this "
    "page that is called certified."
)
FINDINGS = (
    "Each is asked of the numbers on this page. A difference between groups counts only beyond its 95 % margin; below "
    "it there is not enough data."
)
AGREEMENT = (
    "2AFC score: mean share of people who agree with the metric. Small figures: 95 % Wilson interval. In the bars: "
    "stroke the score before any attack, orange what the worst attack took, dark what is certified at the smallest ε "
    "whichever image moves."
)
MATRIX = (
    "Share flipped of the samples where metric and people agreed before; of an attack at several sizes the largest. "
    "A dash: the attack was not run on that metric, or nothing agreed."
)
FLIPS = (
    "In the shape of Ghildyal and Liu’s tables. Sizes are means ± standard deviations over the flipped samples, by the "
    "image that was saved: mean ε and pixels changed on the scale from −1 to 1, RMSE in 8-bit levels."
)
TRANSFERS = (
    "Images made on one metric and judged by another, which the attack never saw. Counted are samples on which the "
    "judging metric agreed with people before."
)
CERTIFIED = (
    "A judgement counts only if its radius is larger than ε (ℓ2, for images whose values run from 0 to 1). Sound: no "
    "change of the reference below the radius turns it. All three move: nor any such change of all images at once. "
    "Published: LipSim’s formula, which takes the embedding of the reference for no shorter than 1; it is a proof only "
    "for the share under “proved”."
)
CURVES = (
    "Between the certified and the attacked line lies what no attack here broke and no proof covers. Every image "
    "counts where it really lies, by its measured change."
)
SHIFTS = "LipSim’s direct attack moves the embedding itself as far as it can. No image may move it farther than L·‖δ‖."
PAPERS = (
    "Published figures for the same data set; sample, preprocessing and weights may differ. Only figures that could be "
    "read in the authors’ own words are here; docs/papers.md says which are missing."
)
FOOTER = (
    "Synthetic triplets have an order by construction and no judges: agreement on them says that a metric is not "
    "broken, and nothing of how well it sees like people. What an attack did not turn is not thereby safe. Everything "
    "here was computed from the records beside this page."
)
