"""The page reports/report.html."""
