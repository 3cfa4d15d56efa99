"""Pictures of plans: plan -> diagram -> Mermaid and DOT, or -> shapes -> SVG and PNG."""
