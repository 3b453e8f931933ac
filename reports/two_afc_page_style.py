"""What the page of a 2AFC benchmark adds to the audit's style sheet: findings, and dots with a number in them."""

from __future__ import annotations

from .audit_page_style import STYLE as AUDIT_STYLE

_MORE = """
.findings { list-style: none; padding: 0; margin: 1rem 0 0; display: grid; gap: 1px; background: var(--rule); }
.findings { border: 1px solid var(--rule); }
.findings li { background: var(--sheet); padding: 0.7rem 1rem; display: grid; gap: 0.1rem 1rem; }
.findings li { grid-template-columns: 8.5rem 1fr; }
.findings b { font-size: 0.84rem; font-weight: 620; padding-top: 0.1rem; }
.findings b::before { content: ""; display: inline-block; width: 0.6rem; height: 0.6rem; margin-right: 0.5rem; }
.findings b::before { border-radius: 50%; background: currentColor; }
.findings .holds b { color: var(--proved); }
.findings .fails b { color: var(--broken); }
.findings .unsure b { color: var(--soft); }
.findings .unsure b::before { background: none; border: 2px solid currentColor; }
.findings p { margin: 0; max-width: none; }
.findings .numbers { grid-column: 2; color: var(--soft); font-size: 0.86rem; line-height: 1.45; }

.disc { stroke: var(--paper); stroke-width: 1.5; }
.disc.hand { fill: var(--clean); }
.disc.learned { fill: var(--broken); }
.disc.proved { fill: var(--proved); }
.chart .inside { fill: var(--paper); font-size: 9px; font-weight: 650; }
.legend .hand i, .legend .learned i, .legend .dotproved i { width: 0.75rem; border: 0; border-radius: 50%; margin: 0; }
.legend .hand i { background: var(--clean); }
.legend .learned i { background: var(--broken); }
.legend .dotproved i { background: var(--proved); }
.wide { max-width: 34rem; margin-top: 1.5rem; }
.wide .chart { max-width: none; }
caption { color: var(--ink); font-weight: 600; padding-top: 1rem; }
ol.names { columns: 3 11rem; font-size: 0.86rem; color: var(--soft); padding-left: 1.5rem; margin: 0.5rem 0 0; }
ol.names li { overflow-wrap: anywhere; break-inside: avoid; }
#attacks th, #attacks td, #reverse th, #reverse td { padding-left: 0.5rem; padding-right: 0.5rem; }
#attacks :is(th, td):first-child, #reverse :is(th, td):first-child { padding-left: 0; }
td.named { white-space: normal; overflow-wrap: anywhere; min-width: 8rem; }
dl.facts .whole { grid-column: 1 / -1; }

@media (max-width: 34rem) {
  .findings li { grid-template-columns: 1fr; }
  .findings .numbers { grid-column: 1; }
  td.named { min-width: 6.5rem; max-width: 9rem; }
}
@media print {
  .findings li, .scroll { break-inside: avoid; }
  .wide { max-width: 26rem; }
}
"""

STYLE = f"{AUDIT_STYLE}\n{_MORE.strip()}"
