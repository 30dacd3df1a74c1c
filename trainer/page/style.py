"""How the page looks: one column to read, light or dark as the reader's system is."""

STYLE = """
:root{--ink:#1c2321;--soft:#5d6965;--line:#dfe5e2;--ground:#fbfcfb;--card:#fff;--accent:#0b7a5f;--plain:#8a9a94;
--c0:#0b7a5f;--c1:#b4531a;--c2:#4554a3;--c3:#8a2f62;--c4:#7d6a12;--c5:#3c7f9c}
@media(prefers-color-scheme:dark){:root{--ink:#e6ece9;--soft:#9aa8a3;--line:#2b3532;--ground:#121715;--card:#19201d;
--accent:#46c7a3;--plain:#6f7f79;--c0:#46c7a3;--c1:#e8935b;--c2:#93a1ee;--c3:#d886b4;--c4:#cbb556;--c5:#7fc1dd}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:860px;margin:0 auto;padding:48px 24px 96px}
h1{font-size:30px;line-height:1.2;margin:0 0 8px;letter-spacing:-.01em}
h2{font-size:19px;margin:0 0 4px}
p{margin:0 0 12px;color:var(--soft);max-width:68ch}
p strong,.lead{color:var(--ink)}
.lead{font-size:18px;margin:16px 0 28px}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:24px;margin:20px 0}
.facts{display:flex;flex-wrap:wrap;gap:12px;margin:0 0 12px}
.facts div{flex:1 1 104px;background:var(--card);border:1px solid var(--line);border-radius:12px;padding:14px 16px}
.facts b{display:block;font-size:19px;font-variant-numeric:tabular-nums}
.facts span{color:var(--soft);font-size:13px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:13px;font-variant-numeric:tabular-nums}
th,td{padding:6px 8px;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}
th{color:var(--soft);font-weight:600}
th:first-child,td:first-child{text-align:left}
td small{color:var(--soft)}
tr.strong td{color:var(--accent);font-weight:600}
svg{display:block;width:100%;height:auto;margin-top:12px;font:12.5px system-ui,-apple-system,"Segoe UI",sans-serif}
svg text{fill:var(--ink)}
svg text.plain{fill:var(--soft)}
svg text.strong,svg .end{font-weight:600}
svg text.strong{fill:var(--accent)}
svg .title{font-size:15px;font-weight:600}
svg .number{font-variant-numeric:tabular-nums}
svg .tick,svg .name{fill:var(--soft);font-size:11.5px}
.axis,.grid{stroke:var(--line)}
.bar{stroke-width:5;stroke-linecap:round;opacity:.45;stroke:var(--plain)}
.bar.strong{stroke:var(--accent)}
circle.plain{fill:var(--plain)}
circle.strong{fill:var(--accent)}
.fill{fill:var(--accent);opacity:.8}
.curve{fill:none;stroke-width:2.2}
.whisker{stroke-width:1.5;opacity:.5}
path.c0,line.c0{stroke:var(--c0)}circle.c0,svg text.c0{fill:var(--c0)}
path.c1,line.c1{stroke:var(--c1)}circle.c1,svg text.c1{fill:var(--c1)}
path.c2,line.c2{stroke:var(--c2)}circle.c2,svg text.c2{fill:var(--c2)}
path.c3,line.c3{stroke:var(--c3)}circle.c3,svg text.c3{fill:var(--c3)}
path.c4,line.c4{stroke:var(--c4)}circle.c4,svg text.c4{fill:var(--c4)}
path.c5,line.c5{stroke:var(--c5)}circle.c5,svg text.c5{fill:var(--c5)}
"""
