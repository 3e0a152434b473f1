// QCustomPlot's header writes Qt's keywords, which our sources do without (QT_NO_KEYWORDS).
#pragma once

#include <QtCore>

#define signals Q_SIGNALS
#define slots Q_SLOTS
#define foreach Q_FOREACH
#define emit
#include <qcustomplot.h>
#undef emit
#undef foreach
#undef slots
#undef signals
