"""What the audit's page says in sentences."""

ALARMED = (
    "Something that was certified changed inside its radius. Until that is explained, rely on nothing on this page "
    "that is called certified."
)

READING = (
    "The higher a line stays towards the right, the larger the change that an answer survives. Between the certified "
    "and the attacked line lies what no attack here broke and no proof covers. Every adversarial image counts where "
    "it really lies, by its measured change, and the worst of all attacks counts for each query."
)

INTERVALS = (
    "Small figures: 95 % Wilson interval in per cent, as if queries were drawn independently; edits of one image are "
    "not, so read it as the least uncertainty there is. Certified recall@10 is what the certificate of the first "
    "place implies."
)

TIGHTNESS = (
    "How close attacks come to what is proved: 1 would be an attack that succeeds at the very radius, and anything "
    "above 1 an alarm. Queries that no attack broke have no ratio and are left out."
)

ATTACKS = (
    "Share of queries on which the goal was reached, by the judged float image, at each budget; PNG, effort and norms "
    "are those of the largest. Norms are medians over the images that reached the goal; pixels changed by more than "
    "0.01 are counted on the scale from −1 to 1."
)

EDITS = (
    "Every query is an image after one of these edits. In the bars: dark certified, grey held by what was tried, "
    "orange broken, stroke clean."
)

GALLERY = (
    "Alarms first, then the smallest changes that reached their goal on each system, then changes that did not. The "
    "difference is shown ten times stronger around grey; grey is no change."
)

FOOTER = (
    "A certificate covers every image within its radius of its query, in ℓ2, for this model, this snapshot and this "
    "threshold. It says nothing of other changes, and not that an answer is right. Everything here was computed from "
    "the records beside this page, which anyone can check again."
)
