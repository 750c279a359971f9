"""Entry points of classifiers of other papers."""
